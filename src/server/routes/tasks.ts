// Reading, cancelling and replaying tasks.

import { type Context, Hono } from 'hono';
import * as v from 'valibot';
import { PopfleetError } from '../../protocol/errors.ts';
import { DEFAULT_QUEUE, QUEUE_NAME, TASK_ID } from '../../protocol/names.ts';
import type { Inspector } from '../../store/inspector.ts';
import type { Operator } from '../../store/operator.ts';
import type { TaskRecord } from '../../store/record.ts';
import type { Registry } from '../../tasks/registry.ts';
import { answer } from '../answer.ts';
import type { AppEnv } from '../app-env.ts';
import { type TaskView, toDeadView, toTaskView } from '../task-view.ts';
import type { Waiters } from '../waiters.ts';

export interface TaskRouteParts {
  readonly registry: Registry;
  readonly inspector: Inspector;
  readonly operator: Operator;
  readonly waiters: Waiters;
}

/** Below the 60 s after which load balancers usually give up on an answer. */
const LONGEST_WAIT_SECONDS = 55;

const Seconds = v.pipe(v.string(), v.regex(/^\d{1,6}$/), v.transform(Number));
const Limit = v.pipe(v.string(), v.regex(/^\d{1,3}$/), v.transform(Number), v.minValue(1), v.maxValue(200));
const Cursor = v.pipe(v.string(), v.regex(/^\d{1,16}\.\d{1,9}$/));

export function taskRoutes(parts: TaskRouteParts): Hono<AppEnv> {
  const { inspector, operator, waiters } = parts;

  async function find(c: Context<AppEnv>, waitMs = 0): Promise<TaskRecord> {
    const id = c.req.param('id') ?? '';
    const record = TASK_ID.test(id) ? await waiters.wait(id, waitMs, c.req.raw.signal) : undefined;
    if (record) return record;
    throw new PopfleetError(
      'not-found',
      'There is no such task. Finished tasks are kept for a limited time only.',
    );
  }

  async function view(record: TaskRecord): Promise<TaskView> {
    // Most tasks fail never, and cost no second command. Not `failures`: a replay sets them back.
    const faultless = record.state === 'running' || record.state === 'succeeded' ? 1 : 0;
    return toTaskView(
      record,
      record.claims > faultless ? await inspector.attempts(record.queue, record.id) : [],
      parts.registry,
    );
  }

  return new Hono<AppEnv>()
    .get('/v1/tasks', async (c) => {
      const { queue, limit, cursor } = deadQuery(c);
      const page = await inspector.dead(queue, limit, cursor);
      return answer(c, 200, { items: page.records.map(toDeadView), next: page.next });
    })
    .get('/v1/tasks/:id', async (c) => {
      const seconds = waitSeconds(c);
      const record = await find(c, seconds * 1_000);
      const applied = seconds > 0 ? { 'Preference-Applied': `wait=${seconds}` } : {};
      return answer(c, 200, await view(record), { 'Cache-Control': 'no-store', ...applied });
    })
    .get('/v1/tasks/:id/log', async (c) => {
      const { queue, id } = await find(c);
      return answer(c, 200, { id, lines: await inspector.log(queue, id) });
    })
    .post('/v1/tasks/:id/cancel', async (c) => {
      const { queue, id } = await find(c);
      const word = await operator.cancel(queue, id);
      if (word === 'succeeded' || word === 'dead') throw finished(word, 'cancelled');
      // A running one was only asked to stop; ask for the task to see that it has.
      return answer(c, word === 'requested' ? 202 : 200, await view(await find(c)));
    })
    .post('/v1/tasks/:id/retry', async (c) => {
      const { queue, id } = await find(c);
      const word = await operator.replay(queue, id);
      if (word !== 'replayed' && word !== 'unknown') throw finished(word, 'replayed: only dead tasks can be');
      return answer(c, 202, await view(await find(c)));
    });
}

function finished(state: string, verb: string): PopfleetError {
  return new PopfleetError('invalid-state', `The task is ${state} and cannot be ${verb}.`);
}

/** The query of `GET /v1/tasks`, which lists dead tasks, newest first. */
function deadQuery(c: Context<AppEnv>): { queue: string; limit: number; cursor: string | undefined } {
  const { state, queue = DEFAULT_QUEUE, limit = '50', cursor } = c.req.query();
  const faults = [
    state !== 'dead' && '`state` must be dead: only dead tasks are listed.',
    !QUEUE_NAME.test(queue) && `\`queue\` must match ${QUEUE_NAME.source}.`,
    !v.is(Limit, limit) && '`limit` must be a whole number from 1 to 200.',
    cursor !== undefined && !v.is(Cursor, cursor) && '`cursor` must be what `next` of a page said.',
  ].filter((fault) => fault !== false);
  if (faults.length > 0) throw new PopfleetError('invalid-query', faults.join(' '));
  return { queue, limit: v.parse(Limit, limit), cursor };
}

/** The query wins over the header. A longer wait than we offer is cut, and the answer says so. */
function waitSeconds(c: Context<AppEnv>): number {
  const query = c.req.query('wait');
  if (query !== undefined) {
    const parsed = v.safeParse(Seconds, query);
    if (!parsed.success)
      throw new PopfleetError('invalid-query', '`wait` must be a whole number of seconds.');
    return Math.min(parsed.output, LONGEST_WAIT_SECONDS);
  }
  const preferred = /(?:^|[,;]\s*)wait=(\d{1,6})\s*(?:$|[,;])/.exec(c.req.header('prefer') ?? '');
  return Math.min(Number(preferred?.[1] ?? 0), LONGEST_WAIT_SECONDS);
}
