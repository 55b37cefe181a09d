// Queues of the API: their numbers, now and over time, pause and resume.

import type { LedgerView, ScaleView, SeriesView } from './fleet-shapes.ts';
import { listOf } from './pages.ts';
import type { QueueView } from './shapes.ts';
import type { CallOptions, Transport } from './transport.ts';

interface PauseOptions extends CallOptions {
  readonly reason?: string | undefined;
}

interface SeriesOptions extends CallOptions {
  /** All queues of the key together unless given. */
  readonly queue?: string | undefined;
  /** How far back; `10m` unless given. */
  readonly range?: SeriesView['range'] | undefined;
}

interface ScaleOptions extends CallOptions {
  /** This queue alone; all queues of the key unless given. */
  readonly queue?: string | undefined;
  /** How long a task should wait at most; 10 unless given. */
  readonly waitSeconds?: number | undefined;
  /** Fewest and most workers of a queue. */
  readonly min?: number | undefined;
  readonly max?: number | undefined;
}

/** @throws ApiError from every method; `not-found` when there is no such queue */
export interface Queues {
  list(options?: CallOptions): Promise<readonly QueueView[]>;
  get(queue: string, options?: CallOptions): Promise<QueueView>;
  /** Starts nothing of it any more, until it is resumed. `reason` says why, and is shown wherever the queue is. */
  pause(queue: string, options?: PauseOptions): Promise<QueueView>;
  resume(queue: string, options?: CallOptions): Promise<QueueView>;
  /** What shows that a queue is whole. */
  ledger(queue: string, options?: CallOptions): Promise<LedgerView>;
  /** What happened in the last minutes, hours or day, a number a step. */
  series(options?: SeriesOptions): Promise<SeriesView>;
  /** How many workers each queue wants now. */
  scale(options?: ScaleOptions): Promise<readonly ScaleView[]>;
}

export function createQueues(transport: Transport): Queues {
  const path = (queue: string): string => `/v1/queues/${encodeURIComponent(queue)}`;
  return {
    list: ({ signal } = {}) => listOf(transport, { path: '/v1/queues', signal }),
    get: (queue, { signal } = {}) => transport.json({ path: path(queue), signal }),
    pause: (queue, { reason, signal } = {}) =>
      transport.json({ method: 'POST', path: `${path(queue)}/pause`, body: { reason }, signal }),
    resume: (queue, { signal } = {}) =>
      transport.json({ method: 'POST', path: `${path(queue)}/resume`, signal }),
    ledger: (queue, { signal } = {}) => transport.json({ path: `${path(queue)}/ledger`, signal }),
    series: ({ signal, ...query } = {}) => transport.json({ path: '/v1/series', query, signal }),
    async scale({ signal, ...query } = {}) {
      const answer = await transport.json<ScaleView | { readonly items: readonly ScaleView[] }>({
        path: '/v1/scale',
        query,
        signal,
      });
      return 'items' in answer ? answer.items : [answer];
    },
  };
}
