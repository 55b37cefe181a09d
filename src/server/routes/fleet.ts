// The workers of the fleet.

import type { Context } from 'hono';
import * as v from 'valibot';
import { PopfleetError } from '../../protocol/errors.ts';
import { toOptionalTime, toTime } from '../../protocol/time-text.ts';
import type { LiveWorker } from '../../store/inspector.ts';
import type { LostWorker } from '../../store/lost-workers.ts';
import { answer } from '../answer.ts';
import type { AppEnv } from '../app-env.ts';
import type { Deps } from '../deps.ts';
import { noteForAudit } from '../audited.ts';
import { knows, visibleQueues } from '../caller.ts';
import { compact } from '../../protocol/compact.ts';
import { named } from '../../views/component.ts';
import { RunningTaskSchema, toRunningTask } from '../../views/running-task.ts';
import { type Operation, type Route, route } from '../operation.ts';

const WorkerSchema = v.object({
  worker: v.string(),
  queue: v.string(),
  leaseUntil: v.pipe(v.string(), v.description('end of its lease; then its tasks go to others')),
  holds: v.pipe(v.number(), v.description('tasks')),
  state: v.pipe(
    v.picklist(['working', 'quiet', 'stopping']),
    v.description('`quiet`: it claims nothing more; `stopping`: its program ends once nothing runs'),
  ),
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

const WorkersSchema = v.object({ items: v.array(named('Worker', WorkerSchema)) });

const LostWorkerSchema = v.object({
  worker: v.string(),
  queue: v.string(),
  leaseUntil: v.pipe(v.string(), v.description('when its lease ran out')),
  held: v.pipe(v.number(), v.description('tasks that it held then: they have gone back to their queue')),
  host: v.exactOptional(v.string()),
  pid: v.exactOptional(v.number()),
  version: v.exactOptional(v.string()),
});
/** A worker that was lost, as callers see it. */
export type LostWorkerView = v.InferOutput<typeof LostWorkerSchema>;

/** Tasks of a worker that are told: more than it has slots, as a rule. */
const MOST_TASKS = 200;

const WorkerTasksSchema = v.object({
  ...WorkersSchema.entries,
  running: v.pipe(
    v.array(RunningTaskSchema),
    v.description(
      `what it runs, and what it has claimed ahead, first what it claimed first: at most ${MOST_TASKS}. \`holds\` is how many there are`,
    ),
  ),
});
/** A worker with its tasks, as callers see it. */
export type WorkerTasksView = v.InferOutput<typeof WorkerTasksSchema>;

const FleetSchema = v.object({
  ...WorkersSchema.entries,
  lost: v.pipe(
    v.array(named('LostWorker', LostWorkerSchema)),
    v.description('workers that were not heard of any more, in the last five minutes'),
  ),
});

/** What a person may want of a worker, by the last word of the path. */
const ORDERS = { quiet: 'quiet', stop: 'stop', resume: 'work' } as const;
const VERBS = ['quiet', 'stop', 'resume'] as const;
const SUMMARIES = {
  quiet: 'A worker finishes what it holds, and claims nothing more',
  stop: 'A worker finishes what it holds, and its program ends',
  resume: 'A quiet worker goes on',
} as const;

/** `GET /v1/workers`, `GET /v1/workers/{worker}`, `POST /v1/workers/{worker}/quiet`, `…/stop` and `…/resume`. */
export function fleetRoutes(
  deps: Pick<Deps, 'inspector' | 'operator' | 'registry' | 'readLostWorkers' | 'readTasksOfWorker'>,
): readonly Route[] {
  const { inspector, operator, registry } = deps;
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
            schema: FleetSchema,
          },
        },
      },
      async (c) => {
        const queues = await visibleQueues(inspector, c.get('caller'));
        const [workers, lost] = await Promise.all([
          workersOf(inspector, queues),
          Promise.all(queues.map((queue) => deps.readLostWorkers(queue))),
        ]);
        const gone = lost.flat().filter((one) => !workers.some((live) => isIn(live, one)));
        return answer(c, 200, { items: workers.map(toView), lost: gone.map(toLostView) });
      },
    ),
    route('GET', '/v1/workers/:worker', GET_ONE, async (c) => {
      const name = c.req.param('worker') ?? '';
      const all = await workersOf(inspector, await visibleQueues(inspector, c.get('caller')));
      const own = all.filter(({ worker }) => worker === name);
      if (own.length === 0) throw noWorker();
      const held = own.filter(({ holds }) => holds > 0);
      const tasks = await Promise.all(
        held.map(({ queue }) => deps.readTasksOfWorker(queue, name, MOST_TASKS)),
      );
      const running = tasks.flat().sort((one, other) => (one.startedAt ?? 0) - (other.startedAt ?? 0));
      return answer(c, 200, {
        items: own.map(toView),
        running: running
          .slice(0, MOST_TASKS)
          .map((record) => toRunningTask(record, registry, c.get('basePath'))),
      });
    }),
    ...VERBS.map((verb) =>
      route('POST', `/v1/workers/:worker/${verb}`, operationOf(verb), async (c) => {
        const name = c.req.param('worker') ?? '';
        const queues = await demandQueues(c, deps, name, verb);
        await Promise.all(queues.map((queue) => operator.order(queue, name, ORDERS[verb])));
        noteForAudit(c, { queues });
        const all = await workersOf(inspector, queues);
        return answer(c, 200, { items: all.filter(({ worker }) => worker === name).map(toView) });
      }),
    ),
  ];
}

const GET_ONE: Operation = {
  id: 'getWorker',
  tag: 'queues',
  summary: 'A live worker, and the tasks that it runs',
  scope: 'read',
  answers: {
    200: {
      description: 'The worker, one item a queue, and its tasks of these.',
      schema: WorkerTasksSchema,
    },
  },
  problems: ['not-found'],
};

function operationOf(verb: keyof typeof ORDERS): Operation {
  return {
    id: `${verb}Worker`,
    tag: 'queues',
    summary: SUMMARIES[verb],
    description: 'The worker learns of it at once. With a key for some queues it is about these alone.',
    scope: 'admin',
    answers: { 200: { description: 'The worker, one item a queue.', schema: WorkersSchema } },
    problems: verb === 'stop' ? ['not-found', 'forbidden'] : ['not-found'],
  };
}

/** The live workers of several queues: one item a queue that each serves. @throws PopfleetError `redis-unavailable` */
export async function workersOf(
  inspector: Deps['inspector'],
  queues: readonly string[],
): Promise<readonly LiveWorker[]> {
  return (await Promise.all(queues.map((queue) => inspector.workers(queue)))).flat();
}

/**
 * The queues of the caller that a worker serves.
 * @throws PopfleetError `not-found` when it serves none; `forbidden` when it would end although it serves others as well
 */
async function demandQueues(
  c: Context<AppEnv>,
  { inspector }: Pick<Deps, 'inspector'>,
  name: string,
  verb: keyof typeof ORDERS,
): Promise<readonly string[]> {
  const workers = await workersOf(inspector, await inspector.queues());
  const served = workers.filter(({ worker }) => worker === name).map(({ queue }) => queue);
  const queues = served.filter((queue) => knows(c.get('caller'), queue));
  if (queues.length === 0) {
    throw noWorker();
  }
  if (verb === 'stop' && queues.length < served.length) {
    throw new PopfleetError(
      'forbidden',
      'This worker also serves queues that the key is not for: make it quiet in those of the key instead.',
    );
  }
  return queues;
}

function noWorker(): PopfleetError {
  return new PopfleetError('not-found', 'There is no such live worker. GET /v1/workers lists them.');
}

function toView(live: LiveWorker): WorkerView {
  const { worker, queue, leaseUntil, holds, order, host, pid, startedAt, version, concurrency } = live;
  const { threads, types } = live;
  return compact<WorkerView>({
    worker,
    queue,
    leaseUntil: toTime(leaseUntil),
    holds,
    state: order === 'quiet' ? 'quiet' : order === 'stop' ? 'stopping' : 'working',
    host,
    pid,
    startedAt: toOptionalTime(startedAt),
    version,
    concurrency,
    threads,
    types: types && [...types],
  });
}

/** Whether a worker that was lost is there again. */
function isIn(live: LiveWorker, { worker, queue }: LostWorker): boolean {
  return live.worker === worker && live.queue === queue;
}

function toLostView({ leaseUntil, ...lost }: LostWorker): LostWorkerView {
  return compact<LostWorkerView>({ ...lost, leaseUntil: toTime(leaseUntil) });
}
