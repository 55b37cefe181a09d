// Operations of the API: what is done to many tasks of a queue at once.

import { listOf } from './pages.ts';
import { followEvents } from './follow-events.ts';
import type { OperationRequest, OperationView } from './shapes.ts';
import type { Transport } from './transport.ts';

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

/** @throws ApiError from every method */
export interface Operations {
  /** Changes nothing. */
  match(request: OperationRequest, signal?: AbortSignal): Promise<OperationMatch>;
  /** @param confirm of the match of the same action and filter: a second call with it starts nothing more */
  start(request: OperationRequest, confirm: string, signal?: AbortSignal): Promise<OperationView>;
  get(id: string, signal?: AbortSignal): Promise<OperationView>;
  list(queue?: string, signal?: AbortSignal): Promise<readonly OperationView[]>;
  /** How far it is, as the server tells it, until it is over; over breaks of the connection. */
  follow(id: string, signal?: AbortSignal): AsyncGenerator<OperationNews, void, void>;
  /** Ends it after the slice that is under way. What it has done stays done. */
  cancel(id: string, signal?: AbortSignal): Promise<OperationView>;
}

/** Whether it does nothing more. */
export function isOver({ state }: Pick<OperationView, 'state'>): boolean {
  return state === 'done' || state === 'cancelled' || state === 'stopped';
}

export function createOperations(transport: Transport): Operations {
  const path = (id: string): string => `/v1/operations/${encodeURIComponent(id)}`;
  const post = <Body>(body: object, signal?: AbortSignal): Promise<Body> =>
    transport.json({ method: 'POST', path: '/v1/operations', body, signal });
  return {
    match: (request, signal) => post({ ...request, dryRun: true }, signal),
    start: (request, confirm, signal) => post({ ...request, confirm }, signal),
    get: (id, signal) => transport.json({ path: path(id), signal }),
    list: (queue, signal) =>
      listOf(transport, {
        path: '/v1/operations',
        query: { queue },
        signal,
      }),
    async *follow(id, signal) {
      const request = { path: '/v1/events', query: { topics: `operation:${id}` }, signal };
      for await (const { name, data } of followEvents(transport, request)) {
        if (name !== 'operation') continue;
        const news = JSON.parse(data) as OperationNews;
        yield news;
        if (isOver(news)) return;
      }
    },
    cancel: (id, signal) => transport.json({ method: 'POST', path: `${path(id)}/cancel`, signal }),
  };
}
