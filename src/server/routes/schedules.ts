// Schedules, which make tasks by the clock.

import type { Context } from 'hono';
import * as v from 'valibot';
import { compact } from '../../protocol/compact.ts';
import { PopfleetError } from '../../protocol/errors.ts';
import { toTime } from '../../protocol/time-text.ts';
import {
  nextTicks,
  SCHEDULE_NAME,
  type Schedule,
  ScheduleSchema,
  type SkippedTicks,
} from '../../protocol/schedule.ts';
import { validate } from '../../protocol/validate.ts';
import type { Among, StoredSchedule } from '../../store/schedule-reader.ts';
import {
  ScheduleReceiptSchema,
  ScheduleViewSchema,
  TICKS_SHOWN,
  toScheduleView,
} from '../../views/schedule-view.ts';
import { workflowPath } from '../../views/workflow-view.ts';
import { prepareWorkflowSchedule } from '../../workflows/prepare-steps.ts';
import { answer, respond } from '../answer.ts';
import type { AppEnv } from '../app-env.ts';
import { noteForAudit, noteQueues } from '../audited.ts';
import type { Deps } from '../deps.ts';
import { readBody } from '../body.ts';
import { SCHEDULE_BODIES } from '../call-schema.ts';
import { knows } from '../caller.ts';
import { toAccepted } from '../receipt.ts';
import { senderOf } from '../sender.ts';
import { type Operation, queueEntry, readQuery, type Route, route } from '../operation.ts';

const queueQuery = {
  queue: queueEntry('Looks in this queue alone: several may have a schedule of the same name.'),
};
const ONE_PROBLEMS = ['not-found', 'ambiguous-name', 'invalid-query'] as const;

/** `PUT`, `GET` and `DELETE /v1/schedules/{name}`, `GET /v1/schedules`, `POST …/pause`, `…/resume` and `…/run`, and `POST /v1/schedules/check`. */
export function scheduleRoutes(
  deps: Pick<Deps, 'accept' | 'acceptWorkflow' | 'schedules' | 'bodyLimitBytes' | 'quota' | 'log'>,
): readonly Route[] {
  const { schedules } = deps;

  async function find(c: Context<AppEnv>, among = amongOf(c)): Promise<StoredSchedule> {
    const found = await schedules.find(c.req.param('name') ?? '', among);
    if (found) return found;
    throw noSchedule();
  }

  function warnOfSkipped(queue: string, name: string, skipped: SkippedTicks | undefined): void {
    if (!skipped) return;
    const { count: ticks, from, until } = skipped;
    deps.log.warn(
      { queue, schedule: name, ticks, from: toTime(from), until: toTime(until) },
      'ticks that were missed during a pause were skipped',
    );
  }

  async function setPaused(c: Context<AppEnv>, paused: boolean): Promise<Response> {
    const name = c.req.param('name') ?? '';
    const changed = await schedules.change(name, amongOf(c), (old) => ({ ...readable(old), paused }));
    if (!changed) throw noSchedule();
    const { queue, skipped } = changed;
    warnOfSkipped(queue, name, skipped);
    const found = await find(c, amongOf(c, queue));
    noteSchedule(c, found);
    return answer(c, 200, toScheduleView(found));
  }

  return [
    route('POST', '/v1/schedules/check', CHECK, (c) => check(c, deps)),
    route('GET', '/v1/schedules', LIST, async (c) => {
      const all = await schedules.list(amongOf(c));
      const now = Date.now();
      return answer(c, 200, { items: all.map((one) => toScheduleView(one, now)) });
    }),
    route('GET', '/v1/schedules/:name', GET_ONE, async (c) => answer(c, 200, toScheduleView(await find(c)))),
    route('PUT', '/v1/schedules/:name', PUT, async (c) => {
      const name = c.req.param('name') ?? '';
      if (!SCHEDULE_NAME.test(name)) {
        throw new PopfleetError(
          'invalid-input',
          `The name of a schedule must match ${SCHEDULE_NAME.source}.`,
        );
      }
      const among = amongOf(c);
      const schedule = await readSchedule(c, deps);
      const { queue: target } = schedule;
      const { isNew, skipped } = await schedules.put(target, name, schedule, among);
      warnOfSkipped(target, name, skipped);
      noteSchedule(c, { queue: target, schedule });
      noteForAudit(c, { isNew });
      return answer(c, isNew ? 201 : 200, toScheduleView(await find(c, amongOf(c, target))));
    }),
    route('DELETE', '/v1/schedules/:name', REMOVE, async (c) => {
      const found = await find(c);
      await schedules.delete(found.name, amongOf(c, found.queue));
      noteSchedule(c, found);
      return respond(c, 204, null, {});
    }),
    ...(['pause', 'resume'] as const).map((verb) =>
      route('POST', `/v1/schedules/:name/${verb}`, operationOf(verb), (c) => setPaused(c, verb === 'pause')),
    ),
    route('POST', '/v1/schedules/:name/run', RUN, async (c) => run(c, await find(c), deps)),
  ];
}

/** Makes a task of it, or starts its workflow, as a tick would, whether it is paused or not. Its ticks stay as they are planned. */
async function run(
  c: Context<AppEnv>,
  found: StoredSchedule,
  { accept, acceptWorkflow, quota }: Pick<Deps, 'accept' | 'acceptWorkflow' | 'quota'>,
): Promise<Response> {
  const { queue } = found;
  const schedule = readable(found.schedule ?? found.fault ?? '');
  noteSchedule(c, found);
  const sender = senderOf(c, quota);
  if (schedule.workflow) {
    const { id } = await acceptWorkflow.accept(schedule.workflow, sender, queue);
    noteForAudit(c, { workflow: id });
    const links = { self: workflowPath(id, c.get('basePath')) };
    return answer(c, 202, { id, queue, links }, { Location: links.self });
  }
  const {
    cron: _,
    everyMs: __,
    timeZone: ___,
    misfire: ____,
    paused: _____,
    workflow: ______,
    ...call
  } = schedule;
  const prepared = accept.prepare({ ...call, queue }, sender);
  await accept.admit(prepared, sender);
  const accepted = toAccepted(call.type, prepared, await accept.send(prepared), c.get('basePath'));
  noteForAudit(c, { task: accepted.id });
  return answer(c, 202, accepted, { Location: accepted.links.self });
}

/** The schedule of a request, which was checked whole. */
async function readSchedule(
  c: Context<AppEnv>,
  { accept, bodyLimitBytes }: Pick<Deps, 'accept' | 'bodyLimitBytes'>,
): Promise<Schedule & { readonly queue: string }> {
  const given = validate(ScheduleSchema, await readBody(c, bodyLimitBytes));
  const caller = c.get('caller');
  return given.workflow
    ? prepareWorkflowSchedule(accept, given, caller)
    : accept.prepareSchedule(given, caller);
}

/** When a schedule would tick that nobody keeps. */
async function check(c: Context<AppEnv>, deps: Pick<Deps, 'accept' | 'bodyLimitBytes'>): Promise<Response> {
  const schedule = await readSchedule(c, deps);
  const next = nextTicks(schedule, Date.now(), TICKS_SHOWN);
  return answer(c, 200, compact({ type: schedule.type, queue: schedule.queue, next: next.map(toTime) }));
}

function noSchedule(): PopfleetError {
  return new PopfleetError('not-found', 'There is no such schedule. GET /v1/schedules lists them.');
}

/** @param found a text with the reason when it cannot be read. @throws PopfleetError `invalid-input` then */
function readable(found: Schedule | string): Schedule {
  if (typeof found === 'object') return found;
  throw new PopfleetError(
    'invalid-input',
    `The schedule cannot be read: ${found}. Put it again, or delete it.`,
  );
}

function noteSchedule(
  c: Context<AppEnv>,
  { queue, schedule }: Pick<StoredSchedule, 'queue' | 'schedule'>,
): void {
  noteQueues(
    c,
    queue,
    schedule?.steps?.map(([, ofStep]) => ofStep),
  );
}

/** Those that this request may see, in the queue of its query if that names one. @param queue instead of that */
function amongOf(c: Context<AppEnv>, queue = readQuery(c, queueQuery).queue): Among {
  const sees = (one: string): boolean => knows(c.get('caller'), one);
  return { queue: (one) => sees(one) && (queue === undefined || one === queue), sees };
}

const ONE = { 200: { description: 'The schedule.', schema: ScheduleViewSchema } } as const;

const LIST: Operation = {
  id: 'listSchedules',
  tag: 'schedules',
  summary: 'All schedules',
  scope: 'read',
  query: queueQuery,
  problems: ['invalid-query'],
  answers: {
    200: { description: 'By name.', schema: v.object({ items: v.array(ScheduleViewSchema) }) },
  },
};
const GET_ONE: Operation = {
  id: 'getSchedule',
  tag: 'schedules',
  summary: 'One schedule',
  scope: 'read',
  query: queueQuery,
  answers: ONE,
  problems: ONE_PROBLEMS,
};
const REMOVE: Operation = {
  id: 'deleteSchedule',
  tag: 'schedules',
  summary: 'Delete a schedule',
  scope: 'admin',
  query: queueQuery,
  answers: { 204: { description: 'It is gone. Tasks that it made stay.' } },
  problems: ONE_PROBLEMS,
};

function operationOf(verb: 'pause' | 'resume'): Operation {
  return {
    id: `${verb}Schedule`,
    tag: 'schedules',
    summary: verb === 'pause' ? 'Make no tasks any more' : 'Go on; ticks that were missed follow `misfire`',
    scope: 'admin',
    query: queueQuery,
    answers: ONE,
    problems: [...ONE_PROBLEMS, 'invalid-input', 'redis-full'],
  };
}

const RUN: Operation = {
  id: 'runSchedule',
  tag: 'schedules',
  summary: 'Make a task of it now, or start its workflow',
  description: 'As a tick would, whether it is paused or not. Its ticks stay as they are planned.',
  scope: 'admin',
  query: queueQuery,
  answers: {
    202: {
      description: 'Redis has the task, or the workflow. `Location` is where it can be asked for.',
      schema: ScheduleReceiptSchema,
    },
  },
  problems: [...ONE_PROBLEMS, 'unknown-type', 'invalid-input', 'quota-exceeded', 'queue-full', 'redis-full'],
};

const CHECK: Operation = {
  id: 'checkSchedule',
  tag: 'schedules',
  summary: 'Check a schedule',
  scope: 'read',
  body: SCHEDULE_BODIES,
  answers: {
    200: {
      description: 'It would be taken.',
      schema: v.object({ type: v.exactOptional(v.string()), queue: v.string(), next: v.array(v.string()) }),
    },
  },
  problems: [
    'malformed-body',
    'unknown-type',
    'too-large',
    'unsupported-media-type',
    'invalid-input',
    'queue-full',
  ],
};

const PUT: Operation = {
  id: 'putSchedule',
  tag: 'schedules',
  summary: 'Create or replace a schedule',
  description:
    'A name is looked for in the queues that the key is for. One of that name in another of these queues moves, unless the queue of the body has one of its own.',
  scope: 'admin',
  query: queueQuery,
  body: SCHEDULE_BODIES,
  answers: { ...ONE, 201: { description: 'It is new.', schema: ScheduleViewSchema } },
  problems: [
    'malformed-body',
    'invalid-query',
    'ambiguous-name',
    'unknown-type',
    'too-large',
    'unsupported-media-type',
    'invalid-input',
    'redis-full',
    'queue-full',
  ],
};
