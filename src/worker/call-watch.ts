// Which calls to Redis fail, since when and why: each cause is logged once, and a worker that cannot do one of its calls
// for long asks to be replaced.

import type { Log } from '../log.ts';
import { faultOf } from '../store/store-error.ts';

export interface CallWatch {
  /** @param call such as `fetch` or `record outcomes of default` */
  worked(call: string): void;
  /** @returns true when it fails for a cause that it did not fail for the last time, which is worth a line in the log */
  failed(call: string, error: unknown): boolean;
}

/** A call that is made rarely is no proof of anything before it has failed this often in a row. */
const FEWEST_FAILURES = 3;

interface Failing {
  /** By `performance.now()`. */
  readonly since: number;
  times: number;
  cause: string;
}

/**
 * @param stuckMs how long a call may fail, however often it is tried
 * @param onStuck called once
 */
export function createCallWatch(stuckMs: number, log: Log, onStuck: () => void): CallWatch {
  const failing = new Map<string, Failing>();
  let isStuck = false;

  return {
    worked(call) {
      // Nearly always there is nothing to forget, and this is called for every batch of tasks.
      if (failing.size === 0) return;
      const state = failing.get(call);
      failing.delete(call);
      // The connection logs that Redis is back.
      if (state && state.cause !== 'unreachable') log.info({ call }, 'works again');
    },

    failed(call, error) {
      const cause = faultOf(error) ?? String(error);
      const known = failing.get(call);
      const now = performance.now();
      const state = known ?? { since: now, times: 0, cause: '' };
      const isNew = state.cause !== cause;
      state.times += 1;
      state.cause = cause;
      failing.set(call, state);
      if (!isStuck && state.times >= FEWEST_FAILURES && now - state.since > stuckMs) {
        isStuck = true;
        log.fatal(
          { call, err: error, forMs: Math.round(now - state.since) },
          'a call to Redis has not worked for long',
        );
        onStuck();
      }
      return isNew;
    },
  };
}
