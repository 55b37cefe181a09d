// Queues of the API: their numbers, pause and resume.

import { listOf } from './pages.ts';
import type { QueueView } from './shapes.ts';
import type { CallOptions, Transport } from './transport.ts';

interface PauseOptions extends CallOptions {
  readonly reason?: string | undefined;
}

/** @throws ApiError from every method; `not-found` when there is no such queue */
export interface Queues {
  list(options?: CallOptions): Promise<readonly QueueView[]>;
  get(queue: string, options?: CallOptions): Promise<QueueView>;
  /** Starts nothing of it any more, until it is resumed. `reason` says why, and is shown wherever the queue is. */
  pause(queue: string, options?: PauseOptions): Promise<QueueView>;
  resume(queue: string, options?: CallOptions): Promise<QueueView>;
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
  };
}
