// What the API tells of the fleet itself: workers, task types, the server and the caller's key.

import type { CallerView, ReadinessView, TypeView, WorkerView } from './shapes.ts';
import type { Transport } from './transport.ts';

/** @throws ApiError from every method */
export interface Fleet {
  /** Live workers, one item a worker and queue. */
  workers(signal?: AbortSignal): Promise<readonly WorkerView[]>;
  /** Task types that the server accepts, with the JSON Schema of their input. */
  types(signal?: AbortSignal): Promise<readonly TypeView[]>;
  /** Whether the server takes tasks, and why not. A server that is not ready is no error. */
  readiness(signal?: AbortSignal): Promise<ReadinessView>;
  /** What the key of this client allows. */
  caller(signal?: AbortSignal): Promise<CallerView>;
}

export function createFleet(transport: Transport): Fleet {
  const items = async <Item>(path: string, signal?: AbortSignal): Promise<readonly Item[]> =>
    (await transport.json<{ readonly items: readonly Item[] }>({ path, signal })).items;
  return {
    workers: (signal) => items('/v1/workers', signal),
    types: (signal) => items('/v1/types', signal),
    readiness: (signal) => transport.json({ path: '/readyz', accepts: [503], signal }),
    caller: (signal) => transport.json({ path: '/v1/session', signal }),
  };
}
