// Runs the ticks of schedules that a sweep has named, and plans anew what is planned wrongly. One call a sweep.

import type { Redis } from 'ioredis';
import { LRUCache } from 'lru-cache';
import { encodeContent, type TickOfSchedule } from '../protocol/message.ts';
import { toMessageOptions } from '../protocol/options.ts';
import { DEFAULT_LANE } from '../protocol/lane.ts';
import {
  countSkipped,
  MISSED_AFTER_MS,
  nextTick,
  planTick,
  readSchedule,
  type Schedule,
  type SkippedTicks,
  type TaskSchedule,
} from '../protocol/schedule.ts';
import { newTaskId } from '../protocol/task-id.ts';
import { type EndpointRules, endpointRulesOf, withEndpoints } from './endpoint-rules.ts';
import { homeOf } from './keys.ts';
import type { TaskExtras } from './new-task.ts';
import { digestOf, writeSkipped } from './schedule-record.ts';
import { workflowOfTick } from './scheduled-workflow.ts';
import type { ScriptArgument } from './script-call.ts';
import { runScript } from './scripts.ts';
import type { PlannedTick, Swept } from './sweeper.ts';
import { writeWebhook } from './webhook-follower.ts';

/** What came of a tick, or of looking at a plan. */
export type TickReport = { readonly name: string } & (
  | { readonly word: 'ran'; readonly task: string }
  /** A workflow is started: an entry of the outbox has its steps accepted. */
  | { readonly word: 'started'; readonly workflow: string }
  | { readonly word: 'skipped'; readonly skipped: SkippedTicks }
  /** It cannot tick: looked at again an hour later. */
  | { readonly word: 'faulty'; readonly fault: string }
  /** A tick of no schedule; it is gone. */
  | { readonly word: 'orphan' }
  | { readonly word: 'planned-anew'; readonly from: string | undefined; readonly next: number | undefined }
);

/** A schedule that cannot be read is looked at again after this long: a later release may be able to. */
const FAULTY_AGAIN_MS = 3_600_000;

/** Definitions that are kept as they were read, and the bytes that each may have: most schedules of a fleet tick again soon. */
const DEFINITIONS_KEPT = 1_000;
const DEFINITION_KEPT_BYTES = 1_000;

/** What was read of a definition. */
interface Definition {
  readonly schedule: ReturnType<typeof readSchedule>;
  readonly digest: string;
}
const definitions = new LRUCache<string, Definition>({ max: DEFINITIONS_KEPT });

/** One step of tick.lua, and what to report of it unless another worker was faster. */
interface Step {
  readonly args: readonly ScriptArgument[];
  readonly report: TickReport;
}

/**
 * Makes the tasks of ticks that are due, and plans the next ones: once for the whole fleet, by the worker that comes first.
 * @throws Error of ioredis; then nothing has happened, or all of it with its reply lost
 */
export async function runTicks(
  client: Redis,
  queue: string,
  { ticks, plans, now, lateSince }: Pick<Swept, 'ticks' | 'plans' | 'now' | 'lateSince'>,
): Promise<TickReport[]> {
  // Not asked for when there are none: a sweep names ticks now and then.
  const rules = ticks.length > 0 ? await endpointRulesOf(client).current() : [];
  const followers: FollowersOf = (content, extras) => withEndpoints(rules, queue, content, extras) ?? extras;
  const here: Here = { queue, now, lateSince, rules, followers };
  const steps = [
    ...ticks.map((tick) => stepOfTick(tick, here)),
    ...plans.flatMap((plan) => stepOfPlan(plan, now)),
  ];
  if (steps.length === 0) return [];
  const words = (await runScript(
    client,
    'tick',
    homeOf(queue),
    steps.flatMap(({ args }) => args),
  )) as Buffer[];
  return steps.filter((_, at) => String(words[at]) === 'ticked').map(({ report }) => report);
}

function readDefinition(bytes: Buffer): Definition {
  const key = bytes.length > DEFINITION_KEPT_BYTES ? undefined : bytes.toString('latin1');
  const known = key === undefined ? undefined : definitions.get(key);
  if (known) return known;
  // A copy: what is read may hold on to its bytes, and these are part of a whole reply.
  const read = { schedule: readSchedule(Buffer.from(bytes)), digest: digestOf(bytes) };
  if (key !== undefined) definitions.set(key, read);
  return read;
}

function stepOfTick(tick: PlannedTick, here: Here): Step {
  const name = tick.name.toString();
  if (!tick.definition) return { args: argsOf(tick, undefined), report: { name, word: 'orphan' } };
  const { schedule } = readDefinition(tick.definition);
  if (typeof schedule === 'string') return faultyStep(tick, schedule, here.now);
  try {
    return schedule.paused
      ? {
          args: argsOf(tick, undefined),
          report: { name, word: 'planned-anew', from: tick.due, next: undefined },
        }
      : stepOfSchedule(tick, schedule, here);
  } catch (error) {
    // Its time zone is unknown to this Node, or its input cannot be encoded.
    return faultyStep(tick, error instanceof Error ? error.message : String(error), here.now);
  }
}

/** Adds what follows a new task of the queue to what else is special about it. */
type FollowersOf = (content: Uint8Array, extras: TaskExtras) => TaskExtras;

/** The queue of some ticks, and the times of day by which they are due and late. */
interface Here {
  readonly queue: string;
  readonly now: number;
  readonly lateSince: number;
  readonly rules: EndpointRules;
  readonly followers: FollowersOf;
}

function stepOfSchedule(tick: PlannedTick, schedule: Schedule, here: Here): Step {
  const name = tick.name.toString();
  const { queue, now, lateSince, rules, followers } = here;
  const due = Number(tick.due);
  if (!Number.isSafeInteger(due) || due < 0) return anewStep(tick, nextTick(schedule, now));
  const { run, next } = planTick(schedule, due, now, lateSince);
  if (!run) {
    const skipped = countSkipped(schedule, due, now);
    return { args: argsOf(tick, next, writeSkipped(skipped)), report: { name, word: 'skipped', skipped } };
  }
  if (schedule.workflow) {
    const { id, args } = workflowOfTick(schedule, { queue, name, due }, rules);
    return {
      args: argsOf(tick, next, '', ['workflow', ...args]),
      report: { name, word: 'started', workflow: id },
    };
  }
  const task = taskOfTick(schedule, { name, due }, followers);
  return { args: argsOf(tick, next, '', ['task', ...task]), report: { name, word: 'ran', task: task[0] } };
}

/** Id, content, lane and JSON of what else is special about the task of a tick. */
function taskOfTick(
  schedule: TaskSchedule,
  tick: TickOfSchedule,
  followers: FollowersOf,
): readonly [id: string, content: Buffer, lane: string, extras: string] {
  const { ttlMs, resultTtlMs, terms, webhook } = schedule;
  const follower = webhook && writeWebhook(webhook);
  const options = { ...toMessageOptions(schedule), schedule: tick };
  const content = encodeContent(schedule.type, schedule.input, options);
  const extras = followers(content, { ttlMs, resultTtlMs, terms, follower });
  return [newTaskId(), content, schedule.priority ?? DEFAULT_LANE, JSON.stringify(extras)];
}

/** A tick may be further away than the clock says by as much as makes a tick late: such jumps happen, and nothing runs twice. */
function stepOfPlan(plan: PlannedTick, now: number): Step[] {
  const schedule = plan.definition ? readDefinition(plan.definition).schedule : undefined;
  if (schedule === undefined || typeof schedule === 'string' || schedule.paused) return [];
  try {
    const latest = nextTick(schedule, now + MISSED_AFTER_MS);
    const isRight = plan.due === undefined ? latest === undefined : Number(plan.due) <= (latest ?? Infinity);
    return isRight ? [] : [anewStep(plan, nextTick(schedule, now))];
  } catch {
    return []; // Its time zone is unknown to this Node: its tick says so.
  }
}

function anewStep(tick: PlannedTick, next: number | undefined): Step {
  const report = { name: tick.name.toString(), word: 'planned-anew', from: tick.due, next } as const;
  return { args: argsOf(tick, next), report };
}

function faultyStep(tick: PlannedTick, fault: string, now: number): Step {
  return {
    args: argsOf(tick, now + FAULTY_AGAIN_MS),
    report: { name: tick.name.toString(), word: 'faulty', fault },
  };
}

/** @param starts what the tick starts, as tick.lua reads it */
function argsOf(
  { name, due = '', definition }: PlannedTick,
  next: number | undefined,
  skipped = '',
  starts: readonly ScriptArgument[] = ['none'],
): ScriptArgument[] {
  return [name, due, definition ? readDefinition(definition).digest : '', next ?? '', skipped, ...starts];
}
