// The heartbeat of a worker: renews what Redis knows of it, whether Redis has lost it or never had it.

import type { Log } from '../log.ts';
import { isOutage } from '../store/store-error.ts';
import type { CallWatch } from './call-watch.ts';
import type { Exchange } from './exchange.ts';

export interface Heartbeat {
  /** Beats at once, for all queues or for one. */
  beat(queue?: string): void;
  stop(): void;
}

export interface HeartbeatParts {
  readonly exchanges: readonly Exchange[];
  readonly everyMs: number;
  /** Called when a queue is no longer paused. */
  readonly onOpen: () => void;
  readonly watch: CallWatch;
  readonly log: Log;
}

export function startHeartbeat({ exchanges, everyMs, onOpen, watch, log }: HeartbeatParts): Heartbeat {
  async function beatOnce(exchange: Exchange): Promise<void> {
    const wasPaused = exchange.isPaused();
    const call = `heartbeat of ${exchange.queue}`;
    try {
      await exchange.beat();
      watch.worked(call);
    } catch (error) {
      const isNew = watch.failed(call, error);
      // Why a connection is away, or thrown away, it says itself.
      if (isNew && !isOutage(error)) log.error({ queue: exchange.queue, err: error }, 'a heartbeat failed');
    }
    if (wasPaused && !exchange.isPaused()) onOpen();
  }

  function beat(queue?: string): void {
    for (const exchange of exchanges) {
      if (queue === undefined || queue === exchange.queue) void beatOnce(exchange);
    }
  }

  const timer = setInterval(() => beat(), everyMs);
  return { beat, stop: () => clearInterval(timer) };
}
