// Schedules: tasks that come again by the clock.

import type { Context, Hono } from 'hono';
import * as v from 'valibot';
import type { Log } from '../../log.ts';
import { PopfleetError } from '../../protocol/errors.ts';
import { DEFAULT_QUEUE } from '../../protocol/names.ts';
import { toTime } from '../../protocol/time-text.ts';
import { nextTicks, SCHEDULE_NAME, type Schedule, ScheduleSchema } from '../../protocol/schedule.ts';
import type { QueueNames } from '../../store/queue-names.ts';
import type { StoredSchedule } from '../../store/schedule-reader.ts';
import type { Schedules } from '../../store/schedules.ts';
import type { Registry } from '../../tasks/registry.ts';
import { answer, respond } from '../answer.ts';
import type { AppEnv } from '../app-env.ts';
import { readBody, validate, validateInput } from '../body.ts';
import { SCHEDULE_BODIES } from '../call-schema.ts';
import { demandQueue, knows } from '../caller.ts';
import { compact } from '../compact.ts';
import { named } from '../component.ts';
import { addRoute, type Operation } from '../operation.ts';
import { unknownType } from '../enqueue-problems.ts';

export interface ScheduleRouteParts {
  readonly registry: Registry;
  readonly schedules: Schedules;
  readonly bodyLimitBytes: number;
  readonly queueNames: QueueNames;
  readonly log: Log;
}

const RUNS_SHOWN = 5;

/** `PUT`, `GET` and `DELETE /v1/schedules/{name}`, `GET /v1/schedules`, `POST …/pause` and `…/resume`. */
export function addScheduleRoutes(app: Hono<AppEnv>, parts: ScheduleRouteParts): void {
  const { registry, schedules } = parts;

  async function find(c: Context<AppEnv>): Promise<StoredSchedule> {
    const found = await schedules.find(c.req.param('name') ?? '');
    if (found && knows(c, found.queue)) return found;
    throw new PopfleetError('not-found', 'There is no such schedule. GET /v1/schedules lists them.');
  }

  async function put(queue: string, name: string, schedule: Schedule): Promise<boolean> {
    const { isNew, skipped } = await schedules.put(queue, name, schedule);
    if (skipped) {
      const { count: ticks, from, until } = skipped;
      parts.log.warn(
        { queue, schedule: name, ticks, from: toTime(from), until: toTime(until) },
        'ticks that were missed during a pause were skipped',
      );
    }
    return isNew;
  }

  async function setPaused(c: Context<AppEnv>, paused: boolean): Promise<Response> {
    const { name, queue, schedule, fault } = await find(c);
    if (!schedule) {
      throw new PopfleetError(
        'invalid-input',
        `The schedule cannot be read: ${fault}. Put it again, or delete it.`,
      );
    }
    await put(queue, name, { ...schedule, paused });
    return answer(c, 200, toView(await find(c)));
  }

  addRoute(
    app,
    'GET',
    '/v1/schedules',
    {
      id: 'listSchedules',
      tag: 'schedules',
      summary: 'All schedules',
      scope: 'read',
      answers: {
        200: { description: 'By name.', schema: v.object({ items: v.array(named('Schedule', ViewSchema)) }) },
      },
    },
    async (c) => {
      const all = await schedules.list();
      const now = Date.now();
      return answer(c, 200, {
        items: all.filter(({ queue }) => knows(c, queue)).map((one) => toView(one, now)),
      });
    },
  );
  addRoute(
    app,
    'GET',
    '/v1/schedules/:name',
    {
      id: 'getSchedule',
      tag: 'schedules',
      summary: 'One schedule',
      scope: 'read',
      answers: ONE,
      problems: ['not-found'],
    },
    async (c) => answer(c, 200, toView(await find(c))),
  );
  addRoute(app, 'PUT', '/v1/schedules/:name', PUT, async (c) => {
    const name = c.req.param('name') ?? '';
    if (!SCHEDULE_NAME.test(name)) {
      throw new PopfleetError('invalid-input', `The name of a schedule must match ${SCHEDULE_NAME.source}.`);
    }
    const schedule = validate(ScheduleSchema, await readBody(c, parts.bodyLimitBytes));
    const definition = registry.get(schedule.type);
    if (!definition) throw unknownType(registry, schedule.type);
    validateInput(definition.input, schedule.input, '/input');
    const { queue = DEFAULT_QUEUE, priority, ttlMs, resultTtlMs } = definition.defaults ?? {};
    const whole = compact<Schedule>({ queue, priority, ttlMs, resultTtlMs, ...compact<Schedule>(schedule) });
    demandQueue(c, whole.queue ?? queue);
    await parts.queueNames.demand(whole.queue ?? queue);
    const before = await schedules.find(name);
    if (before && !knows(c, before.queue)) throw new PopfleetError('forbidden', 'The name is taken.');
    const created = await put(whole.queue ?? queue, name, whole);
    return answer(c, created ? 201 : 200, toView(await find(c)));
  });
  addRoute(
    app,
    'DELETE',
    '/v1/schedules/:name',
    {
      id: 'deleteSchedule',
      tag: 'schedules',
      summary: 'Delete a schedule',
      scope: 'admin',
      answers: { 204: { description: 'It is gone. Tasks that it made stay.' } },
      problems: ['not-found'],
    },
    async (c) => {
      const { name } = await find(c);
      await schedules.delete(name);
      return respond(c, 204, null, {});
    },
  );
  for (const [verb, paused] of [
    ['pause', true],
    ['resume', false],
  ] as const) {
    addRoute(
      app,
      'POST',
      `/v1/schedules/:name/${verb}`,
      {
        id: `${verb}Schedule`,
        tag: 'schedules',
        summary: paused ? 'Make no tasks any more' : 'Go on; ticks that were missed follow `misfire`',
        scope: 'admin',
        answers: ONE,
        problems: ['not-found', 'invalid-input', 'redis-full'],
      },
      (c) => setPaused(c, paused),
    );
  }
}

const ViewSchema = v.looseObject({
  name: v.string(),
  queue: v.string(),
  type: v.exactOptional(v.pipe(v.string(), v.description('missing when the schedule cannot be read'))),
  input: v.exactOptional(v.unknown()),
  paused: v.exactOptional(v.boolean()),
  next: v.pipe(v.array(v.string()), v.description('the next ticks, RFC 3339')),
  last: v.exactOptional(v.object({ due: v.string(), task: v.string() })),
  skipped: v.exactOptional(
    v.pipe(
      v.object({ count: v.number(), from: v.string(), until: v.string() }),
      v.description(
        'how many ticks were skipped so far; when the first and the last of the latest of them were due',
      ),
    ),
  ),
  fault: v.exactOptional(
    v.pipe(v.string(), v.description('what of the schedule cannot be read: put it again, or delete it')),
  ),
});
const ONE = { 200: { description: 'The schedule.', schema: named('Schedule', ViewSchema) } } as const;

const PUT: Operation = {
  id: 'putSchedule',
  tag: 'schedules',
  summary: 'Create or replace a schedule',
  scope: 'admin',
  body: SCHEDULE_BODIES,
  answers: { ...ONE, 201: { description: 'It is new.', schema: named('Schedule', ViewSchema) } },
  problems: [
    'malformed-body',
    'unknown-type',
    'too-large',
    'unsupported-media-type',
    'invalid-input',
    'redis-full',
    'queue-full',
  ],
};

function toView(
  { name, queue, schedule, fault, lastRun, skipped }: StoredSchedule,
  now = Date.now(),
): object {
  const next = schedule && !schedule.paused ? nextTicks(schedule, now, RUNS_SHOWN) : [];
  return compact({
    ...schedule,
    name,
    queue,
    next: next.map(toTime),
    last: lastRun && { due: toTime(lastRun.due), task: lastRun.task },
    skipped: skipped && { ...skipped, from: toTime(skipped.from), until: toTime(skipped.until) },
    fault,
  });
}
