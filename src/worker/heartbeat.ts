// The heartbeat of a worker: renews what Redis knows of it, whether Redis has lost it or never had it.

import type { Service } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import { isOutage } from '../store/store-error.ts';
import type { CallWatch } from './call-watch.ts';
import type { Lease } from './lease.ts';

export interface Heartbeat extends Service {
  /** Beats at once, for all queues or for one. */
  beat(queue?: string): void;
}

export interface HeartbeatDeps {
  readonly leases: readonly Pick<Lease, 'queue' | 'beat'>[];
  readonly everyMs: number;
  readonly watch: CallWatch;
  readonly log: Log;
}

export function createHeartbeat({ leases, everyMs, watch, log }: HeartbeatDeps): Heartbeat {
  let timer: NodeJS.Timeout | undefined;

  async function beatOnce(lease: HeartbeatDeps['leases'][number]): Promise<void> {
    const call = `heartbeat of ${lease.queue}`;
    try {
      await lease.beat();
      watch.worked(call);
    } catch (error) {
      const isNew = watch.failed(call, error);
      // A connection that is away, or was thrown away, logs the cause itself.
      if (isNew && !isOutage(error)) log.error({ queue: lease.queue, err: error }, 'a heartbeat failed');
    }
  }

  function beat(queue?: string): void {
    for (const lease of leases) {
      if (queue === undefined || queue === lease.queue) void beatOnce(lease);
    }
  }

  return {
    beat,

    async start() {
      timer = setInterval(beat, everyMs);
    },

    async stop() {
      clearInterval(timer);
    },
  };
}
