// Batches: tasks that are counted together.

import { longPoll, type WaitOptions } from './long-poll.ts';
import { keyed } from './keyed.ts';
import { pagesOf } from './pages.ts';
import type { TaskOptions, TaskRow } from './shapes.ts';
import type { ManyTask } from './task-types.ts';
import type { CallOptions, Transport } from './transport.ts';

/** What follows a batch: a task, with its options. */
export type BatchThen = Omit<TaskOptions, 'key' | 'keyWindowMs' | 'durability'> & {
  readonly type: string;
  readonly input?: unknown;
};

export interface NewBatch {
  readonly name?: string;
  /** The same key finds the batch that was made with it, and within a minute sends what of it is missing. The client makes one unless it is given. */
  readonly key?: string;
  /** The queue that keeps its record; `default` unless given. */
  readonly queue?: string;
  /** `success`: accepted when all have succeeded; `complete`: when all have ended, however they did. */
  readonly then?: { readonly success?: BatchThen; readonly complete?: BatchThen };
  /** All of its tasks, up to 10,000. */
  readonly tasks?: readonly ManyTask[];
}

export interface BatchView {
  readonly id: string;
  readonly name?: string;
  /** `open`: it takes tasks; `running`: it is closed, and not all have ended; `dead`, `cancelled`: all have, and one at least is. */
  readonly state: 'open' | 'running' | 'succeeded' | 'dead' | 'cancelled';
  /** The queue that keeps its record. */
  readonly queue: string;
  readonly counts: {
    readonly members: number;
    /** Tasks that are on their way, or are looked for. */
    readonly pending: number;
    readonly ended: number;
    readonly succeeded: number;
    readonly dead: number;
    readonly cancelled: number;
    /** Those of the cancelled that were never accepted: the batch was interrupted while its tasks were sent. */
    readonly missing?: number;
  };
  readonly success?: { readonly type: string; readonly queue: string };
  readonly complete?: { readonly type: string; readonly queue: string };
  readonly acceptedAt: string;
  readonly endedAt?: string;
  readonly links: { readonly self: string };
}

/** What became of tasks that were added, in their order. */
export interface AddedToBatch {
  readonly accepted: number;
  readonly replayed: number;
  readonly rejected: number;
  readonly items: readonly { readonly id?: string; readonly queue?: string; readonly replayed?: true }[];
}

/** @throws ApiError from every method */
export interface Batches {
  /** Opens a batch; with `tasks` it has all of them, and is closed at once. */
  open(batch?: NewBatch, options?: CallOptions): Promise<BatchView>;
  /**
   * Adds up to 10,000 tasks to an open batch, all or none. Each has a key before it is sent, so a repeat adds none twice.
   * @throws ApiError `invalid-state` when it is closed
   */
  add(id: string, tasks: readonly ManyTask[], options?: CallOptions): Promise<AddedToBatch>;
  /** It takes no more tasks. */
  close(id: string, options?: CallOptions): Promise<BatchView>;
  get(id: string, options?: CallOptions): Promise<BatchView>;
  /**
   * The batch once it is closed and all of its tasks have ended, whichever way. The server may go away meanwhile for up to a minute.
   * @throws WaitTimeout
   */
  wait(id: string, options?: WaitOptions): Promise<BatchView>;
  /**
   * Its tasks that are dead or cancelled, in the order in which they were added (those of one call by their queues), page after page as they
   * are read.
   */
  failed(id: string, options?: CallOptions): AsyncGenerator<TaskRow, void, void>;
  /** Newest first, page after page as they are read. `name`: those whose name begins so. */
  list(
    options?: CallOptions & {
      readonly state?: BatchView['state'] | undefined;
      readonly name?: string | undefined;
    },
  ): AsyncGenerator<BatchView, void, void>;
}

export function createBatches(transport: Transport): Batches {
  const path = (id: string, rest = ''): string => `/v1/batches/${encodeURIComponent(id)}${rest}`;
  return {
    open: (batch = {}, { signal } = {}) =>
      transport.json({ method: 'POST', path: '/v1/batches', body: keyed(batch), signal }),
    add: (id, tasks, { signal } = {}) =>
      transport.json({
        method: 'POST',
        path: path(id, '/tasks'),
        body: tasks.map(keyed),
        signal,
      }),
    close: (id, { signal } = {}) =>
      transport.json({ method: 'POST', path: path(id, '/close'), body: {}, signal }),
    get: (id, { signal } = {}) => transport.json({ method: 'GET', path: path(id), signal }),
    wait: (id, options) => longPoll(transport, { what: 'batch', id, path: path(id) }, options),
    failed: (id, { signal } = {}) => pagesOf(transport, path(id, '/failed'), {}, signal),
    list: ({ signal, ...query } = {}) => pagesOf(transport, '/v1/batches', query, signal),
  };
}
