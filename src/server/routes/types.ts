// The task types this server knows, and how the runs of all types have gone.

import type { Context } from 'hono';
import * as v from 'valibot';
import type { TaskDefaults } from '../../protocol/options.ts';
import { toTime } from '../../protocol/time-text.ts';
import { percentileMs } from '../../store/spans.ts';
import type { TypeRuns } from '../../store/type-runs.ts';
import { named } from '../../views/component.ts';
import { answer } from '../answer.ts';
import type { AppEnv } from '../app-env.ts';
import { knows, visibleQueues } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { inputToJson, type Operation, queueEntry, readQuery, type Route, route } from '../operation.ts';

const TypeSchema = v.object({
  type: v.string(),
  input: v.pipe(v.unknown(), v.description('JSON Schema (2020-12)')),
  defaults: v.unknown(),
  runIn: v.picklist(['thread', 'inline']),
});
/** A task type as callers see it. */
export type TypeView = v.InferOutput<typeof TypeSchema>;

const LIST: Operation = {
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
};

const milliseconds = (part: number) =>
  v.pipe(
    v.nullable(v.number()),
    v.description(`milliseconds within which ${part * 100} % of these runs ended; \`null\`: there were none`),
  );

const TypeRunsSchema = v.object({
  type: v.string(),
  runs: v.pipe(v.number(), v.description('runs of handlers that have ended, however they did')),
  failed: v.pipe(v.number(), v.description('attempts that failed, for good or not')),
  p50Ms: milliseconds(0.5),
  p95Ms: milliseconds(0.95),
  p99Ms: milliseconds(0.99),
  hours: v.pipe(
    v.object({
      latestAt: v.pipe(v.string(), v.description('when the newest hour began, which is not over yet')),
      counts: v.pipe(v.array(v.number()), v.description('`runs` of each hour, the newest last')),
    }),
    v.description('the last 24 hours'),
  ),
});

/** How the runs of a type have gone, as callers see it. */
export type TypeRunsView = v.InferOutput<typeof TypeRunsSchema>;

const query = { queue: queueEntry('Of this queue; all that the key is for together, unless given.') };

const RUNS: Operation = {
  id: 'getTypeRuns',
  tag: 'tasks',
  summary: 'How the runs of each task type have gone in the last 24 hours',
  description:
    'As workers count them, within a few seconds; what a worker has counted since its last heartbeat goes with it. Types that nothing has run in this time are absent.',
  scope: 'read',
  query,
  answers: {
    200: {
      description: 'One item a type, in the order of their names.',
      schema: v.object({ items: v.array(named('TypeRuns', TypeRunsSchema)) }),
    },
  },
  problems: ['invalid-query'],
};

/** `GET /v1/types` and `GET /v1/types/runs`. */
export function typeRoutes({
  inspector,
  registry,
  readTypeRuns,
}: Pick<Deps, 'inspector' | 'registry' | 'readTypeRuns'>): readonly Route[] {
  const items = [...registry.values()].map(({ type, input, defaults = {}, runIn = 'thread' }) => ({
    type,
    input: inputToJson(input),
    defaults,
    runIn,
  }));

  return [
    route('GET', '/v1/types', LIST, (c) =>
      answer(c, 200, { items: items.map((item) => withoutForeignQueue(c, item)) }),
    ),
    route('GET', '/v1/types/runs', RUNS, async (c) => {
      const { queue } = readQuery(c, query);
      const queues = await visibleQueues(inspector, c.get('caller'));
      const { latestAt, types } = await readTypeRuns(
        queues.filter((name) => queue === undefined || name === queue),
      );
      return answer(c, 200, { items: types.map((runs) => toView(runs, latestAt)) });
    }),
  ];
}

/** Every caller may see a type, but not the queue of its definition when that is not visible to the caller. */
function withoutForeignQueue(c: Context<AppEnv>, item: { readonly defaults: TaskDefaults }): object {
  const { queue, ...defaults } = item.defaults;
  return queue === undefined || knows(c.get('caller'), queue) ? item : { ...item, defaults };
}

function toView({ type, failed, spans, hours }: TypeRuns, latestAt: number): TypeRunsView {
  const within = (part: number): number | null => {
    const ms = percentileMs(spans, part);
    return ms === undefined ? null : Math.round(ms * 100) / 100;
  };
  return {
    type,
    runs: spans.reduce((sum, count) => sum + count, 0),
    failed,
    p50Ms: within(0.5),
    p95Ms: within(0.95),
    p99Ms: within(0.99),
    hours: { latestAt: toTime(latestAt), counts: [...hours] },
  };
}
