// Outcomes that wait to be recorded: gathered, so that few calls carry many, and kept until Redis has answered.

import { delay, retryDelayMs } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import type { Outcome } from '../store/consumer.ts';
import type { CallWatch } from './call-watch.ts';
import type { Slots } from './slots.ts';

export interface Completer {
  push(outcome: Outcome): void;
  /** Resolves when every outcome is recorded. */
  settled(): Promise<void>;
}

export interface CompleterDeps {
  /** Records a batch and frees its slots. @throws Error of the store: then it is sent again */
  readonly send: (batch: readonly Outcome[]) => Promise<void>;
  readonly slots: Slots;
  /** Tasks that are held and may not begin before the next call. */
  readonly ahead: () => number;
  /** Tasks that can run at the same time. */
  readonly places: number;
  readonly queue: string;
  readonly watch: CallWatch;
  readonly log: Log;
}

/** With more tasks at hand than run, a call carries the outcomes of half of them: Redis works on one half, this worker on the other. */
const BATCHES = 2;
/** While there is enough to do an outcome waits so long for others. */
const GATHER_MS = 2;
/** An outcome is up to six arguments of a script call (`MOST_ARGUMENTS`). */
const OUTCOMES_A_CALL = 500;

export function createCompleter({ send, slots, ahead, places, queue, watch, log }: CompleterDeps): Completer {
  const recording = `outcomes of ${queue}`;
  const outcomes: Outcome[] = [];
  let sending: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let immediate: NodeJS.Immediate | undefined;

  /**
   * Sends the outcomes so far: at once when there are enough to make a call worth it, soon when a place is idle for want
   * of tasks, else when the first has waited for a while.
   */
  function gather(): void {
    if (sending || outcomes.length === 0) return;
    if (outcomes.length * BATCHES >= slots.limit()) {
      flush();
    } else if (isShort()) {
      // After this turn of the event loop, so that outcomes of the same turn share one call.
      immediate ??= setImmediate(flush);
    } else {
      timer ??= setTimeout(flush, GATHER_MS);
    }
  }

  /** A place is idle for want of tasks, or will be before others may begin. */
  function isShort(): boolean {
    const waiting = ahead();
    return slots.size() - outcomes.length - waiting < (waiting > 0 ? 2 * places : places);
  }

  function flush(): void {
    clearTimeout(timer);
    clearImmediate(immediate);
    timer = undefined;
    immediate = undefined;
    sending ??= sendSome().finally(() => {
      sending = undefined;
      gather();
    });
  }

  /** They stay here until Redis has answered, however long it is away: a slot is free only then. */
  async function sendSome(): Promise<void> {
    const batch = outcomes.splice(0, OUTCOMES_A_CALL);
    for (let failures = 0; batch.length > 0; ) {
      try {
        await send(batch);
        watch.worked(recording);
        return;
      } catch (error) {
        failures += 1;
        if (watch.failed(recording, error))
          log.warn({ queue, err: error, outcomes: batch.length }, 'outcomes wait for Redis');
        await delay(retryDelayMs(failures, 50, 1_000));
        batch.push(...outcomes.splice(0, Math.max(0, OUTCOMES_A_CALL - batch.length)));
      }
    }
  }

  return {
    push(outcome) {
      outcomes.push(outcome);
      gather();
    },

    async settled() {
      while (sending || outcomes.length > 0) {
        flush();
        await sending;
      }
    },
  };
}
