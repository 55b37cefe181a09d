// Decides when a role ends, and how soon: signals, uncaught errors, and failures that the role itself reports.

import type { Log } from './log.ts';

export interface Ending {
  /** Resolves when the role shall stop. */
  readonly asked: Promise<void>;
  isAsked(): boolean;
  /** Fires when running tasks and requests shall be stopped at once instead of being waited for. */
  readonly hurry: AbortSignal;
  /** Resolves when the stop has taken too long; never before `asked`. */
  readonly overdue: Promise<void>;
  /** Exit code of a process that has stopped in time: 0, or 1 after a failure. */
  exitCode(): number;
  /** Stops the role as a first signal does. */
  stop(): void;
  /** Stops the role because of a failure, which the caller has logged. */
  fail(): void;
}

export interface EndingDeps {
  readonly log: Log;
  /** Longest time of a graceful stop, in milliseconds. */
  readonly stopWithinMs: number;
  /**
   * Returns true, and logs the error, when an uncaught error comes from code of a user's task: then the role goes on.
   */
  readonly isForgiven?: (error: unknown) => boolean;
  /** Called with each SIGHUP, which then ends nothing. */
  readonly onHangUp?: (() => void) | undefined;
}

/** SIGHUP: the terminal closes. SIGQUIT: Ctrl-\. By default Node ends at both without giving tasks back. */
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const;
/**
 * Signals within this time count as one. A Ctrl-C arrives twice when npm passes on the signal that the terminal has sent to
 * the whole group; shells do the same when a terminal closes.
 */
const SAME_PRESS_MS = 500;
/** Time to stop running tasks and give them back after a second signal, in milliseconds. */
const HURRY_WITHIN_MS = 3_000;

/**
 * Handles signals from now on. The first resolves `asked`, the second fires `hurry`, the third ends the process at once.
 */
export function createEnding({ log, stopWithinMs, isForgiven = () => false, onHangUp }: EndingDeps): Ending {
  const hurry = new AbortController();
  let code = 0;
  let steps = 0;
  let lastStepAt = Number.NEGATIVE_INFINITY;
  let ask = (): void => undefined;
  let giveUp = (): void => undefined;
  const asked = new Promise<void>((resolve) => {
    ask = resolve;
  });
  const overdue = new Promise<void>((resolve) => {
    giveUp = resolve;
  });

  function begin(): void {
    if (steps > 0) return;
    steps = 1;
    setTimeout(giveUp, stopWithinMs);
    ask();
  }

  function onSignal(signal: NodeJS.Signals): void {
    const now = performance.now();
    if (now - lastStepAt < SAME_PRESS_MS) return;
    lastStepAt = now;
    if (steps === 0) {
      log.info({ signal }, 'stopping');
      begin();
    } else if (steps === 1) {
      steps = 2;
      log.warn({ signal }, 'stopping at once: running tasks are given back');
      setTimeout(giveUp, HURRY_WITHIN_MS);
      hurry.abort();
    } else {
      log.warn({ signal }, 'ending without a stop');
      endNow();
    }
  }

  function fail(): void {
    code = 1;
    begin();
  }

  function onUncaught(error: unknown): void {
    if (isForgiven(error)) return;
    log.fatal({ err: error }, 'an error that nothing caught: stopping, so that a new process can take over');
    fail();
  }

  for (const signal of SIGNALS) process.on(signal, signal === 'SIGHUP' && onHangUp ? onHangUp : onSignal);
  // Unhandled rejections come here as well.
  process.on('uncaughtException', onUncaught);

  return {
    asked,
    isAsked: () => steps > 0,
    hurry: hurry.signal,
    overdue,
    exitCode: () => code,
    stop: begin,
    fail,
  };
}

/**
 * Ends the process whatever its threads do: `process.exit` would wait for each of them, also for one that is blocked in a
 * system call.
 */
export function endNow(): never {
  process.kill(process.pid, 'SIGKILL');
  // The first process of a container cannot kill itself.
  process.exit(1);
}
