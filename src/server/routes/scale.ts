// How many workers each queue wants, for what scales fleets (KEDA, `popfleet fleet`).

import * as v from 'valibot';
import { compact } from '../../protocol/compact.ts';
import { PopfleetError } from '../../protocol/errors.ts';
import { type ScaleGoal, wantedWorkers } from '../../protocol/wanted-workers.ts';
import type { LoadReading } from '../../store/load-reader.ts';
import { named } from '../../views/component.ts';
import { answer } from '../answer.ts';
import { visibleQueues } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { integerEntry, type Operation, queueEntry, readQuery, type Route, route } from '../operation.ts';

const WAIT_SECONDS = 10;
const MOST_WORKERS = 100_000;

const query = {
  queue: queueEntry('Answers for this queue alone, without `items`.'),
  waitSeconds: integerEntry(1, 86_400, `How long a task should wait at most; ${WAIT_SECONDS} by default.`),
  min: integerEntry(0, MOST_WORKERS, 'Fewest workers; 0 by default.'),
  max: integerEntry(1, MOST_WORKERS, 'Most workers.'),
};

const ScaleSchema = v.object({
  queue: v.string(),
  value: v.pipe(v.number(), v.description('`ready`, `running` and `dueSoon` together')),
  suggestedWorkers: v.pipe(v.number(), v.description('workers that the queue wants now')),
  ready: v.number(),
  running: v.number(),
  dueSoon: v.pipe(
    v.number(),
    v.description('scheduled tasks, and ticks of schedules, that are due within 30 s'),
  ),
  oldestReadySeconds: v.exactOptional(
    v.pipe(
      v.number(),
      v.description(
        'how long the oldest ready task has waited, as far as the next of each lane says; 0: none waits',
      ),
    ),
  ),
  workers: v.pipe(v.number(), v.description('those that serve it now')),
  slots: v.object({ busy: v.number(), total: v.number() }),
  arrivalsPerSecond: v.pipe(
    v.number(),
    v.description('runs that become ready: the higher rate of the last minute and the last five'),
  ),
  runSeconds: v.exactOptional(
    v.pipe(v.number(), v.description('mean time of a run in the last five minutes')),
  ),
  slotsPerWorker: v.pipe(v.number(), v.description('of those that serve it, else of the last one that did')),
});
/** How many workers a queue wants, as callers see it. */
export type ScaleView = v.InferOutput<typeof ScaleSchema>;

const READ: Operation = {
  id: 'getScale',
  tag: 'queues',
  summary: 'How many workers the queues want',
  description:
    'By Little’s law: arrivals × time of a run slots are busy, some are to spare, and what waits takes further ones. While Redis does not answer this is 503, never a number.',
  scope: 'read',
  query,
  answers: {
    200: {
      description: 'One queue, or all in `items`.',
      schema: v.union([
        named('Scale', ScaleSchema),
        v.object({ items: v.array(named('Scale', ScaleSchema)) }),
      ]),
    },
  },
  problems: ['invalid-query', 'not-found'],
};

/** `GET /v1/scale`. */
export function scaleRoutes({ inspector, readLoad }: Pick<Deps, 'inspector' | 'readLoad'>): readonly Route[] {
  return [
    route('GET', '/v1/scale', READ, async (c) => {
      const { queue, waitSeconds, min, max } = readQuery(c, query);
      const goal = {
        waitSeconds: waitSeconds ?? WAIT_SECONDS,
        min: min ?? 0,
        max: max ?? MOST_WORKERS,
      };
      const queues = await visibleQueues(inspector, c.get('caller'));
      if (queue !== undefined && !queues.includes(queue)) {
        throw new PopfleetError('not-found', 'There is no such queue. GET /v1/queues lists them.');
      }
      const wanted = queue === undefined ? queues : [queue];
      const items = await Promise.all(wanted.map(async (name) => toView(name, await readLoad(name), goal)));
      return answer(c, 200, queue === undefined ? { items } : (items[0] as ScaleView));
    }),
  ];
}

function toView(queue: string, load: LoadReading, goal: ScaleGoal): ScaleView {
  const { ready, running, dueSoon, workers, slots, arrivalsPerSecond, slotsPerWorker } = load;
  return compact<ScaleView>({
    queue,
    value: ready + running + dueSoon,
    suggestedWorkers: wantedWorkers(load, goal),
    ready,
    running,
    dueSoon,
    oldestReadySeconds: load.oldestReadySeconds,
    workers,
    slots: { busy: Math.min(running, slots), total: slots },
    arrivalsPerSecond,
    runSeconds: load.runSeconds,
    slotsPerWorker,
  });
}
