// Schedules: when the next tick is, and what becomes of ticks that nobody could run in time.

import * as v from 'valibot';
import { faultOfCron, nextCronTick } from './cron.ts';
import { callEntries } from './options.ts';
import { isTimeZone } from './time-zone.ts';

/** A tick that is later than this was missed: the fleet was down, or Redis was. Less is catching up. */
export const MISSED_AFTER_MS = 5_000;

const SHORTEST_EVERY_MS = 1_000;
const YEAR_MS = 365 * 86_400_000;

const { maxAttempts, backoff, timeoutMs, resultTtlMs, priority, queue, ttlMs } = callEntries;

const timing = {
  /** Five fields, or six with seconds first, as croner reads them; `@daily` and its kin too. */
  cron: v.optional(v.pipe(v.string(), v.trim(), v.maxLength(200, 'must have at most 200 characters'))),
  /** Instead of `cron`: at every multiple of this since 1970-01-01T00:00:00Z. */
  everyMs: v.optional(
    v.pipe(
      v.number(),
      v.integer('must be a whole number'),
      v.minValue(SHORTEST_EVERY_MS, `must be at least ${SHORTEST_EVERY_MS}`),
      v.maxValue(YEAR_MS, `must be at most ${YEAR_MS}`),
    ),
  ),
  /** IANA name of the time zone in which `cron` is read. */
  timeZone: v.optional(
    v.pipe(v.string(), v.check(isTimeZone, 'must be an IANA time zone such as Europe/Berlin')),
    'UTC',
  ),
  /** What happens to ticks that were missed: `skip` drops them, `once` makes one run for all of them. */
  misfire: v.optional(v.picklist(['skip', 'once'], 'must be skip or once'), 'skip'),
  paused: v.optional(v.boolean('must be true or false'), false),
};

export const ScheduleSchema = v.pipe(
  v.strictObject({
    ...timing,
    type: v.string(),
    input: v.unknown(),
    maxAttempts,
    backoff,
    timeoutMs,
    resultTtlMs,
    priority,
    queue,
    ttlMs,
  }),
  v.forward(
    v.check((one) => (one.cron === undefined) !== (one.everyMs === undefined), 'give either cron or everyMs'),
    ['cron'],
  ),
  v.forward(
    v.rawCheck(({ dataset, addIssue }) => {
      if (!dataset.typed || dataset.value.cron === undefined) return;
      const fault = faultOfCron(dataset.value.cron);
      if (fault !== undefined) addIssue({ message: fault });
    }),
    ['cron'],
  ),
);
export type Schedule = v.InferOutput<typeof ScheduleSchema>;

export const SCHEDULE_NAME = /^[a-z0-9][a-z0-9_.-]{0,63}$/;

/**
 * The first tick after an instant, in milliseconds since 1970; `undefined` when there is none any more.
 * @throws Error when the pattern or the time zone cannot be read
 */
export function nextTick(
  schedule: Pick<Schedule, 'cron' | 'everyMs' | 'timeZone'>,
  afterMs: number,
): number | undefined {
  if (schedule.everyMs !== undefined) return (Math.floor(afterMs / schedule.everyMs) + 1) * schedule.everyMs;
  if (schedule.cron === undefined) return undefined;
  return nextCronTick(schedule.cron, schedule.timeZone, afterMs);
}

/** The next `count` ticks after an instant. */
export function nextTicks(schedule: Schedule, afterMs: number, count: number): number[] {
  const ticks: number[] = [];
  for (let after: number | undefined = afterMs; ticks.length < count; ) {
    after = nextTick(schedule, after);
    if (after === undefined) break;
    ticks.push(after);
  }
  return ticks;
}

/** What to do with a tick that is due: whether its task runs, and which tick comes next. */
export function planTick(
  schedule: Schedule,
  due: number,
  now: number,
): { run: boolean; next: number | undefined } {
  if (now - due <= MISSED_AFTER_MS) return { run: true, next: nextTick(schedule, due) };
  return { run: schedule.misfire === 'once', next: nextTick(schedule, now) };
}
