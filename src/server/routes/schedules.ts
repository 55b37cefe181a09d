// Schedules: tasks that come again by the clock.

import { type Context, Hono } from 'hono';
import { PopfleetError } from '../../protocol/errors.ts';
import { DEFAULT_QUEUE } from '../../protocol/names.ts';
import { nextTicks, SCHEDULE_NAME, type Schedule, ScheduleSchema } from '../../protocol/schedule.ts';
import type { Schedules, StoredSchedule } from '../../store/schedules.ts';
import type { Registry } from '../../tasks/registry.ts';
import { answer, respond } from '../answer.ts';
import type { AppEnv } from '../app-env.ts';
import { readBody, validate } from '../body.ts';
import { compact } from '../compact.ts';
import { unknownType } from './enqueue.ts';

export interface ScheduleRouteParts {
  readonly registry: Registry;
  readonly schedules: Schedules;
  readonly bodyLimitBytes: number;
}

const RUNS_SHOWN = 5;

/** `PUT`, `GET` and `DELETE /v1/schedules/{name}`, `GET /v1/schedules`, `POST …/pause` and `…/resume`. */
export function scheduleRoutes(parts: ScheduleRouteParts): Hono<AppEnv> {
  const { registry, schedules } = parts;

  async function find(c: Context<AppEnv>): Promise<StoredSchedule> {
    const found = await schedules.find(c.req.param('name') ?? '');
    if (found) return found;
    throw new PopfleetError('not-found', 'There is no such schedule. GET /v1/schedules lists them.');
  }

  async function setPaused(c: Context<AppEnv>, paused: boolean): Promise<Response> {
    const { name, queue, schedule } = await find(c);
    await schedules.put(queue, name, { ...schedule, paused });
    return answer(c, 200, toView(await find(c)));
  }

  return new Hono<AppEnv>()
    .get('/v1/schedules', async (c) => answer(c, 200, { items: (await schedules.list()).map(toView) }))
    .get('/v1/schedules/:name', async (c) => answer(c, 200, toView(await find(c))))
    .put('/v1/schedules/:name', async (c) => {
      const name = c.req.param('name');
      if (!SCHEDULE_NAME.test(name)) {
        throw new PopfleetError(
          'invalid-input',
          `The name of a schedule must match ${SCHEDULE_NAME.source}.`,
        );
      }
      const schedule = validate(ScheduleSchema, await readBody(c, parts.bodyLimitBytes));
      const definition = registry.get(schedule.type);
      if (!definition) throw unknownType(registry, schedule.type);
      validate(definition.input, schedule.input, '/input');
      const { queue = DEFAULT_QUEUE, priority, ttlMs } = definition.defaults ?? {};
      const whole = compact<Schedule>({ queue, priority, ttlMs, ...compact<Schedule>(schedule) });
      const created = await schedules.put(whole.queue ?? queue, name, whole);
      return answer(c, created ? 201 : 200, toView(await find(c)));
    })
    .delete('/v1/schedules/:name', async (c) => {
      await find(c);
      await schedules.delete(c.req.param('name'));
      return respond(c, 204, null, {});
    })
    .post('/v1/schedules/:name/pause', (c) => setPaused(c, true))
    .post('/v1/schedules/:name/resume', (c) => setPaused(c, false));
}

function toView({ name, queue, schedule, lastRun }: StoredSchedule): object {
  const next = schedule.paused ? [] : nextTicks(schedule, Date.now(), RUNS_SHOWN);
  return {
    name,
    ...schedule,
    queue,
    next: next.map(toTime),
    ...(lastRun ? { last: { due: toTime(lastRun.due), task: lastRun.task } } : {}),
  };
}

function toTime(ms: number): string {
  return new Date(ms).toISOString();
}
