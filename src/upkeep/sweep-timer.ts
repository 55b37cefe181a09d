// One timer a queue that fires when its next sweep is due: not earlier, and sooner when something is due sooner.

import type { Service } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import { refusalOf } from '../store/protocol-number.ts';
import { isOutage } from '../store/store-error.ts';
import type { Swept } from '../store/sweeper.ts';

export interface SweepTimer extends Service {
  /** Sweeps in `ms` at the latest. */
  within(ms: number): void;
}

/**
 * Its first sweep comes with the first connection.
 * @param periodMs longest wait, also after a sweep that failed
 */
export function createSweepTimer(sweep: () => Promise<Swept>, periodMs: number, log: Log): SweepTimer {
  let timer: NodeJS.Timeout | undefined;
  let firesAt = Number.POSITIVE_INFINITY;
  let running: Promise<void> | undefined;
  let stopped = false;
  /** The last fault, which is logged once. */
  let logged: string | undefined;

  function within(ms: number): void {
    const at = performance.now() + ms;
    if (stopped || at >= firesAt) return;
    clearTimeout(timer);
    firesAt = at;
    timer = setTimeout(fire, ms);
  }

  function fire(): void {
    firesAt = Number.POSITIVE_INFINITY;
    running = sweep()
      .then(
        (swept) => {
          report(swept);
          logged = undefined;
          within(Math.min(swept.nextMs, periodMs));
        },
        (error: unknown) => {
          reportFault(error);
          within(periodMs);
        },
      )
      .finally(() => {
        running = undefined;
      });
  }

  function report({ counts }: Swept): void {
    if (counts.returned + counts.poisoned + counts.repaired > 0) log.warn(counts, 'swept');
    else if (counts.due + counts.expired + counts.removed > 0) log.debug(counts, 'swept');
  }

  function reportFault(error: unknown): void {
    const message = String(error);
    // That Redis is away, its connection says, and that a release keeps the queue, the worker.
    if (!isOutage(error) && refusalOf(error) === undefined && logged !== message)
      log.error({ err: error }, 'a queue cannot be swept, trying again');
    logged = message;
  }

  return {
    within,
    async start() {},
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await running;
    },
  };
}
