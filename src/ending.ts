// When a role ends, and how much patience is left: signals, errors that nothing caught, and requests from within.

import type { Log } from './log.ts';

export interface Ending {
  /** Resolves when the role shall stop. */
  readonly asked: Promise<void>;
  isAsked(): boolean;
  /** Fires when what still runs shall be stopped at once, instead of being waited for. */
  readonly hurry: AbortSignal;
  /** Resolves when the stop has taken too long; never before `asked`. */
  readonly overdue: Promise<void>;
  /** What the process exits with when it has stopped in time: 0, or 1 after a failure. */
  exitCode(): number;
  /** Stops the role because of a failure, which the caller has logged. */
  fail(): void;
}

export interface EndingDeps {
  readonly log: Log;
  /** The longest time that an orderly stop takes. */
  readonly stopWithinMs: number;
  /**
   * Says whether an error that nothing caught is no reason to stop: code of a user's task left it behind. It also logs it.
   */
  readonly isForgiven?: (error: unknown) => boolean;
}

/** SIGHUP: the terminal closes. SIGQUIT: Ctrl-\. What Node does with them by default gives no task back. */
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const;
/**
 * One press of Ctrl-C comes twice when npm passes on what the terminal has sent to the whole group; shells do the same when
 * a terminal closes.
 */
const SAME_PRESS_MS = 500;
/** After a second signal, the time to stop what runs and give it back. */
const HURRY_WITHIN_MS = 3_000;

/**
 * Listens from now on. The first signal asks the role to stop, the second fires `hurry`, the third ends the process at
 * once.
 */
export function createEnding({ log, stopWithinMs, isForgiven = () => false }: EndingDeps): Ending {
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

  for (const signal of SIGNALS) process.on(signal, onSignal);
  // Rejections that nothing handles come here as well.
  process.on('uncaughtException', onUncaught);

  return { asked, isAsked: () => steps > 0, hurry: hurry.signal, overdue, exitCode: () => code, fail };
}

/**
 * Ends the process whatever its threads do: `process.exit` waits for each of them, also for one that is held in a system
 * call.
 */
export function endNow(): never {
  process.kill(process.pid, 'SIGKILL');
  // The first process of a container cannot kill itself.
  process.exit(1);
}
