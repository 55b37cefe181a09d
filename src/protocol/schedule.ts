// Schedules: when the next tick is, and whether ticks that were missed run.

import * as v from 'valibot';
import { decodeCbor } from './cbor.ts';
import { DEFAULT_SCAN_LIMITS } from './cbor-scan.ts';
import { faultOfCron, faultOfPattern, nextCronTick } from './cron.ts';
import { LONGEST_DELAY_MS } from './instant.ts';
import { LANES } from './lane.ts';
import { QUEUE_NAME, TASK_TYPE } from './names.ts';
import { scheduleEntries } from './options.ts';
import { isTimeZone } from './time-zone.ts';
import { noList } from './validate.ts';
import { type ScheduledWorkflow, ScheduledWorkflowSchema } from './workflow.ts';

/** A tick that is more than these milliseconds late was missed: the fleet or Redis was down. */
export const MISSED_AFTER_MS = 5_000;
/** A tick that is more than these milliseconds late was missed, also when the fleet was busy with other ticks. */
export const LONGEST_CATCH_UP_MS = 60_000;
/** Most ticks of a pattern that are counted each time that some are skipped. */
const MOST_COUNTED = 100;

const SHORTEST_EVERY_MS = 1_000;

const timing = {
  /** Five fields, or six with seconds first, as croner reads them; or a name such as `@daily`. */
  cron: v.optional(v.pipe(v.string(), v.trim(), v.maxLength(200, 'must have at most 200 characters'))),
  /** Instead of `cron`: at every multiple of this since 1970-01-01T00:00:00Z. */
  everyMs: v.optional(
    v.pipe(
      v.number(),
      v.integer('must be a whole number'),
      v.minValue(SHORTEST_EVERY_MS, `must be at least ${SHORTEST_EVERY_MS}`),
      v.maxValue(LONGEST_DELAY_MS, `must be at most ${LONGEST_DELAY_MS}`),
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

const entries = {
  ...timing,
  /** Each tick makes a task of this type, */
  type: v.optional(v.string()),
  input: v.optional(v.unknown()),
  /** or starts this workflow. */
  workflow: v.optional(noList(ScheduledWorkflowSchema)),
  ...scheduleEntries,
};
const EITHER = 'give either cron or everyMs';
const ONE_OF_BOTH = 'give either type, with its input, or workflow';

/** What belongs to tasks: the steps of a workflow have their own. The queue is that of the schedule, and has the record of the workflow. */
export const OF_TASKS: readonly string[] = [
  'input',
  ...Object.keys(scheduleEntries).filter((name) => name !== 'queue'),
];

const TimedSchema = v.pipe(
  v.strictObject(entries),
  v.forward(
    v.check((one) => (one.cron === undefined) !== (one.everyMs === undefined), EITHER),
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
  v.forward(
    v.check((one) => (one.type === undefined) !== (one.workflow === undefined), ONE_OF_BOTH),
    ['type'],
  ),
  v.forward(
    v.check((one) => one.type === undefined || one.input !== undefined, 'is missing'),
    ['input'],
  ),
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed || dataset.value.workflow === undefined) return;
    const given = new Map(Object.entries(dataset.value));
    for (const key of OF_TASKS) {
      const value = given.get(key);
      if (value === undefined) continue;
      const path = [{ type: 'object', origin: 'value', input: dataset.value, key, value }] as const;
      addIssue({ message: 'belongs to the steps of the workflow', path: [...path] });
    }
  }),
);

type Timed = v.InferOutput<typeof TimedSchema>;
/** What each tick starts. */
type OfTask = {
  readonly type: string;
  readonly input: unknown;
  readonly workflow?: undefined;
  readonly steps?: undefined;
};
type OfWorkflow = {
  readonly type?: undefined;
  readonly input?: undefined;
  readonly workflow: ScheduledWorkflow;
  /** Made of the workflow when the schedule is put: workers, which make the ticks, do not know all types. */
  readonly steps?: readonly ScheduledStep[] | undefined;
};
type Common = Omit<Timed, 'type' | 'input' | 'workflow'> & {
  /** What its tasks are found by (terms.ts); it is made of the others when the schedule is put. */
  readonly terms?: string | undefined;
};
export type TaskSchedule = Common & OfTask;
export type WorkflowSchedule = Common & OfWorkflow;
export type Schedule = TaskSchedule | WorkflowSchedule;

/** `TimedSchema` has checked which of both it is. */
export const ScheduleSchema = v.pipe(
  TimedSchema,
  v.transform((one) => one as Schedule),
);
/** A schedule as a caller writes it. */
export type ScheduleInput = v.InferInput<typeof ScheduleSchema>;

/** A step whose call was checked: its name, its queue and lane, and JSON of what else is special about it (lua/lib/extras.lua). */
const ScheduledStepSchema = v.tuple([
  v.string(),
  v.pipe(v.string(), v.regex(QUEUE_NAME)),
  v.picklist(LANES),
  v.string(),
]);
export type ScheduledStep = Readonly<v.InferOutput<typeof ScheduledStepSchema>>;

/** A schedule as Redis may have it: a later release may write more members. */
const StoredSchema = v.looseObject({
  ...entries,
  type: v.optional(v.pipe(v.string(), v.regex(TASK_TYPE))),
  terms: v.optional(v.string()),
  steps: v.optional(v.array(ScheduledStepSchema)),
});
/** As in `decodeContent`: a schedule adds a few items to the body it came in, and five for each of a thousand steps. */
const STORED_LIMITS = { depth: DEFAULT_SCAN_LIMITS.depth + 1, nodes: DEFAULT_SCAN_LIMITS.nodes + 64 + 5_000 };

/** Reads a stored schedule, which any program may have written. Returns a text with the reason when it cannot be read. */
export function readSchedule(bytes: Uint8Array): Schedule | string {
  let stored: unknown;
  try {
    stored = decodeCbor(bytes, STORED_LIMITS);
  } catch (error) {
    return `its definition is no plain CBOR: ${error instanceof Error ? error.message : 'it cannot be read'}`;
  }
  const { success, output, issues = [] } = v.safeParse(StoredSchema, stored);
  const [issue] = issues;
  if (issue) return `its definition is not valid: ${v.getDotPath(issue) ?? 'it'} ${issue.message}`;
  if (!success) return 'its definition is not valid';
  if ((output.cron === undefined) === (output.everyMs === undefined))
    return `its definition is not valid: ${EITHER}`;
  const fault = output.cron === undefined ? undefined : faultOfPattern(output.cron);
  if (fault !== undefined) return `its definition is not valid: cron ${fault}`;
  const startFault = faultOfStart(output);
  return startFault === undefined ? (output as Schedule) : `its definition is not valid: ${startFault}`;
}

/** What is wrong with what a stored schedule starts. */
function faultOfStart({
  type,
  input,
  workflow,
  steps,
}: v.InferOutput<typeof StoredSchema>): string | undefined {
  if ((type === undefined) === (workflow === undefined)) return ONE_OF_BOTH;
  if (!workflow) return input === undefined ? 'input is missing' : undefined;
  const names = new Set(steps?.map(([step]) => step));
  const isPrepared = Object.keys(workflow.tasks).every((name) => names.has(name));
  return isPrepared ? undefined : 'the steps of its workflow are not prepared';
}

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

/**
 * Decides about a tick that is due: whether its task runs, and which tick comes next.
 * @param lateSince the time at which lateness is measured; before `now` while the fleet works off more ticks than fit into
 *   one call, so that these are not missed
 */
export function planTick(
  schedule: Schedule,
  due: number,
  now: number,
  lateSince: number = now,
): { run: boolean; next: number | undefined } {
  const isMissed = lateSince - due > MISSED_AFTER_MS || now - due > LONGEST_CATCH_UP_MS;
  if (!isMissed) return { run: true, next: nextTick(schedule, due) };
  return { run: schedule.misfire === 'once', next: nextTick(schedule, now) };
}

/** Ticks that were dropped together. Times are milliseconds since 1970. */
export interface SkippedTicks {
  /** At most 100 of a pattern. */
  readonly count: number;
  readonly from: number;
  readonly until: number;
}

/** The ticks from one that is due until now. */
export function countSkipped(schedule: Schedule, due: number, now: number): SkippedTicks {
  if (schedule.everyMs !== undefined) {
    const more = Math.max(0, Math.floor(now / schedule.everyMs) - Math.floor(due / schedule.everyMs));
    return { count: more + 1, from: due, until: due + more * schedule.everyMs };
  }
  let count = 1;
  let until = due;
  for (; count < MOST_COUNTED; count += 1) {
    const next = nextTick(schedule, until);
    if (next === undefined || next > now) break;
    until = next;
  }
  return { count, from: due, until };
}

/** Whether two schedules tick at the same times. */
export function haveSameTiming(one: Schedule, other: Schedule): boolean {
  return one.cron === other.cron && one.everyMs === other.everyMs && one.timeZone === other.timeZone;
}
