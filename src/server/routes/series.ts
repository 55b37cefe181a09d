// How the queues have done over the last minutes, hours or day, for charts.

import * as v from 'valibot';
import { PopfleetError } from '../../protocol/errors.ts';
import { toTime } from '../../protocol/time-text.ts';
import { toRecord } from '../../protocol/to-record.ts';
import { addSeries, emptySeries, RANGES, type RangeName, type Series } from '../../store/series.ts';
import { fieldsOf, percentileMs, type Span } from '../../store/spans.ts';
import { named } from '../../views/component.ts';
import { answer } from '../answer.ts';
import { knows } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { type Operation, queueEntry, readQuery, type Route, route } from '../operation.ts';

const RANGE_NAMES = Object.keys(RANGES) as [RangeName, ...RangeName[]];
/** Those beyond, by name, are left out of the sum. */
const MOST_QUEUES = 100;

const query = {
  queue: queueEntry('Of this queue; all that the key is for together, unless given.'),
  range: v.optional(
    v.pipe(
      v.picklist(RANGE_NAMES, `must be one of ${RANGE_NAMES.join(', ')}`),
      v.description('How far back; `10m` by default.'),
    ),
    '10m',
  ),
};

const column = (text: string) => v.pipe(v.array(v.nullable(v.number())), v.description(text));

const PERCENTILES = { p50: 0.5, p95: 0.95, p99: 0.99 } as const;
type Percentile = keyof typeof PERCENTILES;
const PERCENTILE_NAMES = Object.keys(PERCENTILES) as readonly Percentile[];

function percentiles(text: string) {
  return v.object(
    toRecord(PERCENTILE_NAMES, (name) =>
      column(`milliseconds within which ${PERCENTILES[name] * 100} % of ${text}; \`null\`: not known`),
    ),
  );
}

const SeriesSchema = v.object({
  range: v.picklist(RANGE_NAMES),
  queues: v.pipe(v.number(), v.description(`queues that are in it: the first ${MOST_QUEUES} by name`)),
  stepMs: v.pipe(v.number(), v.description('length of a step')),
  until: v.pipe(v.string(), v.description('end of the last whole step, which is the last value but one')),
  at: v.pipe(v.string(), v.description('when it was read: the last value is of the few seconds before')),
  accepted: column('tasks a second in each step, the oldest first; `null`: not known'),
  succeeded: column('tasks a second'),
  failed: column('attempts a second that another one follows'),
  dead: column('tasks a second that failed for good'),
  cancelled: column('tasks a second'),
  scheduled: column('tasks at the end of a step'),
  ready: column('tasks at the end of a step'),
  running: column('tasks at the end of a step'),
  waitMs: column(
    'how long tasks were ready in a step, by those that were started in it: what each waited on the mean, but more while few start and many wait, as in a paused queue; `null`: none was started',
  ),
  runMs: column('mean time of the runs that ended in a step; `null`: none did'),
  waits: percentiles(
    'first claims had waited since they were accepted or due, as workers with METRICS_PORT say',
  ),
  runs: percentiles('handlers ran'),
});

/** How queues have done, as callers see it. */
export type SeriesView = v.InferOutput<typeof SeriesSchema>;

const READ: Operation = {
  id: 'getSeries',
  tag: 'queues',
  summary: 'What happened in the last minutes, hours or day',
  description:
    'From samples that are kept in Redis for a day, so every server says the same. `null` where nothing is known, never 0.',
  scope: 'read',
  query,
  answers: { 200: { description: 'A number a step.', schema: named('Series', SeriesSchema) } },
  problems: ['invalid-query', 'not-found'],
};

/** `GET /v1/series`. */
export function seriesRoutes({
  inspector,
  readSeries,
}: Pick<Deps, 'inspector' | 'readSeries'>): readonly Route[] {
  return [
    route('GET', '/v1/series', READ, async (c) => {
      const { queue, range } = readQuery(c, query);
      const queues = (await inspector.queues()).filter((name) => knows(c.get('caller'), name));
      if (queue !== undefined && !queues.includes(queue)) {
        throw new PopfleetError('not-found', 'There is no such queue. GET /v1/queues lists them.');
      }
      const wanted = queue === undefined ? queues.slice(0, MOST_QUEUES) : [queue];
      const all = await Promise.all(wanted.map((name) => readSeries(name, range)));
      return answer(c, 200, toView(range, all));
    }),
  ];
}

function toView(range: RangeName, all: readonly Series[]): SeriesView {
  const { stepMs, until, at, columns } = all.length === 0 ? emptySeries(range, Date.now()) : addSeries(all);
  const round = (values: readonly (number | undefined)[], parts = 100): (number | null)[] =>
    values.map((value) => (value === undefined ? null : Math.round(value * parts) / parts));
  // One task in a step of five minutes is to be seen.
  const rate = (values: readonly (number | undefined)[]): (number | null)[] => round(values, 1e6);
  const mean = (sums: keyof typeof columns, counts: keyof typeof columns): (number | null)[] =>
    round(
      columns[sums].map((sum, index) => {
        const count = columns[counts][index];
        return sum === undefined || count === undefined || count === 0 ? undefined : sum / count;
      }),
    );
  const timesOf = (span: Span) =>
    toRecord(PERCENTILE_NAMES, (name) =>
      round(
        columns.accepted.map((_, index) => {
          const counts = fieldsOf(span).map((field) => columns[field][index]);
          return percentileMs(
            counts.map((count) => count ?? 0),
            PERCENTILES[name],
          );
        }),
      ),
    );
  const { accepted, succeeded, failed, dead, cancelled, scheduled, ready, running } = columns;
  return {
    range,
    queues: all.length,
    stepMs,
    until: toTime(until),
    at: toTime(at),
    accepted: rate(accepted),
    succeeded: rate(succeeded),
    failed: rate(failed),
    dead: rate(dead),
    cancelled: rate(cancelled),
    scheduled: round(scheduled),
    ready: round(ready),
    running: round(running),
    waitMs: mean('readyMs', 'started'),
    runMs: mean('runningMs', 'ran'),
    waits: timesOf('wait'),
    runs: timesOf('run'),
  };
}
