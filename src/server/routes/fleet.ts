// The workers of the fleet, and the task types this server knows.

import type { Context } from 'hono';
import * as v from 'valibot';
import type { TaskDefaults } from '../../protocol/options.ts';
import { toOptionalTime, toTime } from '../../protocol/time-text.ts';
import type { LiveWorker } from '../../store/inspector.ts';
import { answer } from '../answer.ts';
import type { AppEnv } from '../app-env.ts';
import type { Deps } from '../deps.ts';
import { knows } from '../caller.ts';
import { compact } from '../../protocol/compact.ts';
import { named } from '../../views/component.ts';
import { inputToJson, type Route, route } from '../operation.ts';

const WorkerSchema = v.object({
  worker: v.string(),
  queue: v.string(),
  leaseUntil: v.pipe(v.string(), v.description('end of its lease; then its tasks go to others')),
  holds: v.pipe(v.number(), v.description('tasks')),
  host: v.exactOptional(v.string()),
  pid: v.exactOptional(v.number()),
  startedAt: v.exactOptional(v.string()),
  version: v.exactOptional(v.string()),
  concurrency: v.exactOptional(v.pipe(v.number(), v.description('tasks at the same time'))),
  threads: v.exactOptional(v.number()),
  types: v.exactOptional(v.pipe(v.array(v.string()), v.description('task types it has handlers for'))),
});
/** A worker as callers see it. */
export type WorkerView = v.InferOutput<typeof WorkerSchema>;

const TypeSchema = v.object({
  type: v.string(),
  input: v.pipe(v.unknown(), v.description('JSON Schema (2020-12)')),
  defaults: v.unknown(),
  runIn: v.picklist(['thread', 'inline']),
});
/** A task type as callers see it. */
export type TypeView = v.InferOutput<typeof TypeSchema>;

/** `GET /v1/workers` and `GET /v1/types`. */
export function fleetRoutes({ inspector, registry }: Pick<Deps, 'inspector' | 'registry'>): readonly Route[] {
  const items = [...registry.values()].map(({ type, input, defaults = {}, runIn = 'thread' }) => ({
    type,
    input: inputToJson(input),
    defaults,
    runIn,
  }));

  return [
    route(
      'GET',
      '/v1/workers',
      {
        id: 'listWorkers',
        tag: 'queues',
        summary: 'Live workers, by the queues they serve',
        scope: 'read',
        answers: {
          200: {
            description: 'One item a worker and queue.',
            schema: v.object({ items: v.array(named('Worker', WorkerSchema)) }),
          },
        },
      },
      async (c) => {
        const queues = (await inspector.queues()).filter((queue) => knows(c.get('caller'), queue));
        const workers = await Promise.all(queues.map((queue) => inspector.workers(queue)));
        return answer(c, 200, { items: workers.flat().map(toView) });
      },
    ),
    route(
      'GET',
      '/v1/types',
      {
        id: 'listTypes',
        tag: 'tasks',
        summary: 'Task types with the schema of their input',
        scope: 'read',
        answers: {
          200: {
            description: 'What this server accepts.',
            schema: v.object({ items: v.array(named('TaskType', TypeSchema)) }),
          },
        },
      },
      (c) => answer(c, 200, { items: items.map((item) => withoutForeignQueue(c, item)) }),
    ),
  ];
}

/** Every caller may see a type, but not the queue of its definition when that is not visible to the caller. */
function withoutForeignQueue(c: Context<AppEnv>, item: { readonly defaults: TaskDefaults }): object {
  const { queue, ...defaults } = item.defaults;
  return queue === undefined || knows(c.get('caller'), queue) ? item : { ...item, defaults };
}

function toView(live: LiveWorker): WorkerView {
  const { worker, queue, leaseUntil, holds, host, pid, startedAt, version, concurrency, threads, types } =
    live;
  return compact<WorkerView>({
    worker,
    queue,
    leaseUntil: toTime(leaseUntil),
    holds,
    host,
    pid,
    startedAt: toOptionalTime(startedAt),
    version,
    concurrency,
    threads,
    types: types && [...types],
  });
}
