// Operations of the API: what is done to many tasks of a queue at once.

import { listOf } from './pages.ts';
import { followEvents } from './follow-events.ts';
import type { OperationRequest, OperationView } from './shapes.ts';
import type { CallOptions, Transport } from './transport.ts';

/** What an operation would do. */
interface OperationMatch {
  /** `gte`: the first 10,000 tasks were looked at, there may be more that match. */
  readonly matched: { readonly value: number; readonly relation: 'eq' | 'gte' };
  /** Ids of the first that match. */
  readonly sample: readonly string[];
  readonly perState: Readonly<Record<string, number>>;
  /** About how long it takes for all of these, without what it waits for. */
  readonly estimateSeconds: number;
  /** Starts it, within five minutes. */
  readonly confirm: string;
}

/** How far an operation is. */
export interface OperationNews {
  readonly queue: string;
  /** Its id. */
  readonly operation: string;
  readonly state: OperationView['state'];
  /** Tasks that there are to look at, about, and how many of them were. */
  readonly total: number;
  readonly looked: number;
  readonly matched: number;
  readonly done: number;
  readonly at: string;
}

interface OperationsOptions extends CallOptions {
  /** All queues of the key unless given. */
  readonly queue?: string | undefined;
}

/** @throws ApiError from every method */
export interface Operations {
  /** Changes nothing. */
  match(request: OperationRequest, options?: CallOptions): Promise<OperationMatch>;
  /** @param confirm of the match of the same action and filter: a second call with it starts nothing more */
  start(request: OperationRequest, confirm: string, options?: CallOptions): Promise<OperationView>;
  get(id: string, options?: CallOptions): Promise<OperationView>;
  list(options?: OperationsOptions): Promise<readonly OperationView[]>;
  /** How far it is, as the server tells it, until it is over; over breaks of the connection. */
  follow(id: string, options?: CallOptions): AsyncGenerator<OperationNews, void, void>;
  /** Ends it after the slice that is under way. What it has done stays done. */
  cancel(id: string, options?: CallOptions): Promise<OperationView>;
}

/** Whether it does nothing more. */
export function isOver({ state }: Pick<OperationView, 'state'>): boolean {
  return state === 'done' || state === 'cancelled' || state === 'stopped';
}

export function createOperations(transport: Transport): Operations {
  const path = (id: string): string => `/v1/operations/${encodeURIComponent(id)}`;
  const post = <Body>(body: object, { signal }: CallOptions = {}): Promise<Body> =>
    transport.json({ method: 'POST', path: '/v1/operations', body, signal });
  return {
    match: (request, options) => post({ ...request, dryRun: true }, options),
    start: (request, confirm, options) => post({ ...request, confirm }, options),
    get: (id, { signal } = {}) => transport.json({ path: path(id), signal }),
    list: ({ queue, signal } = {}) =>
      listOf(transport, {
        path: '/v1/operations',
        query: { queue },
        signal,
      }),
    async *follow(id, { signal } = {}) {
      const request = { path: '/v1/events', query: { topics: `operation:${id}` }, signal };
      for await (const { name, data } of followEvents(transport, request)) {
        if (name !== 'operation') continue;
        const news = JSON.parse(data) as OperationNews;
        yield news;
        if (isOver(news)) return;
      }
    },
    cancel: (id, { signal } = {}) => transport.json({ method: 'POST', path: `${path(id)}/cancel`, signal }),
  };
}
