// What the API tells of the fleet itself: workers, task types, the server and the caller's key.

import type { LostWorkerView, SystemView, TypeRunsView } from './fleet-shapes.ts';
import { listOf } from './pages.ts';
import type { CallerView, ReadinessView, TypeView, WorkerTasksView, WorkerView } from './shapes.ts';
import type { CallOptions, Transport } from './transport.ts';

interface TypeRunsOptions extends CallOptions {
  /** All queues of the key together unless given. */
  readonly queue?: string | undefined;
}

/** @throws ApiError from every method */
export interface Fleet {
  /** Live workers, one item a worker and queue. */
  workers(options?: CallOptions): Promise<readonly WorkerView[]>;
  /** Workers that were lost in the last five minutes and have not come back, one item a worker and queue. */
  lost(options?: CallOptions): Promise<readonly LostWorkerView[]>;
  /** One live worker, and the tasks that it runs. */
  worker(worker: string, options?: CallOptions): Promise<WorkerTasksView>;
  /** A worker finishes what it holds, and claims nothing more. */
  quiet(worker: string, options?: CallOptions): Promise<readonly WorkerView[]>;
  /** A quiet worker goes on. */
  resume(worker: string, options?: CallOptions): Promise<readonly WorkerView[]>;
  /** A worker finishes what it holds, and its program ends. */
  stop(worker: string, options?: CallOptions): Promise<readonly WorkerView[]>;
  /** Task types that the server accepts, with the JSON Schema of their input. */
  types(options?: CallOptions): Promise<readonly TypeView[]>;
  /** How the runs of each task type have gone in the last 24 hours; types that nothing has run are missing. */
  typeRuns(options?: TypeRunsOptions): Promise<readonly TypeRunsView[]>;
  /** Redis, the server that answers, and its limits; for keys that are for all queues. */
  system(options?: CallOptions): Promise<SystemView>;
  /** Whether the server takes tasks, and why not. A server that is not ready is no error. */
  readiness(options?: CallOptions): Promise<ReadinessView>;
  /** What the key of this client allows. */
  caller(options?: CallOptions): Promise<CallerView>;
}

export function createFleet(transport: Transport): Fleet {
  const order =
    (verb: 'quiet' | 'resume' | 'stop') =>
    async (worker: string, { signal }: CallOptions = {}): Promise<readonly WorkerView[]> => {
      const path = `/v1/workers/${encodeURIComponent(worker)}/${verb}`;
      return listOf(transport, { method: 'POST', path, signal });
    };
  return {
    quiet: order('quiet'),
    resume: order('resume'),
    stop: order('stop'),
    worker: (worker, { signal } = {}) =>
      transport.json({ path: `/v1/workers/${encodeURIComponent(worker)}`, signal }),
    workers: ({ signal } = {}) => listOf(transport, { path: '/v1/workers', signal }),
    async lost({ signal } = {}) {
      const path = '/v1/workers';
      return (await transport.json<{ readonly lost: readonly LostWorkerView[] }>({ path, signal })).lost;
    },
    types: ({ signal } = {}) => listOf(transport, { path: '/v1/types', signal }),
    typeRuns: ({ queue, signal } = {}) =>
      listOf(transport, { path: '/v1/types/runs', query: { queue }, signal }),
    system: ({ signal } = {}) => transport.json({ path: '/v1/system', signal }),
    readiness: ({ signal } = {}) => transport.json({ path: '/readyz', accepts: [503], signal }),
    caller: ({ signal } = {}) => transport.json({ path: '/v1/session', signal }),
  };
}
