// Reading a task, at once or when it is finished.

import { type Context, Hono } from 'hono';
import * as v from 'valibot';
import { PopfleetError } from '../../protocol/errors.ts';
import { TASK_ID } from '../../protocol/names.ts';
import { answer } from '../answer.ts';
import type { AppEnv } from '../app-env.ts';
import { toTaskView } from '../task-view.ts';
import type { Waiters } from '../waiters.ts';

/** Below the 60 s after which load balancers usually give up on an answer. */
const LONGEST_WAIT_SECONDS = 55;

const Seconds = v.pipe(v.string(), v.regex(/^\d{1,6}$/), v.transform(Number));

/** `GET /v1/tasks/{id}[?wait=seconds]`; `Prefer: wait=seconds` (RFC 7240) is the same. */
export function taskRoute(waiters: Waiters): Hono<AppEnv> {
  return new Hono<AppEnv>().get('/v1/tasks/:id', async (c) => {
    const id = c.req.param('id');
    const seconds = waitSeconds(c);
    const record = TASK_ID.test(id) ? await waiters.wait(id, seconds * 1_000, c.req.raw.signal) : undefined;
    if (!record) {
      throw new PopfleetError(
        'not-found',
        'There is no such task. Finished tasks are kept for a limited time only.',
      );
    }
    if (seconds > 0) c.header('Preference-Applied', `wait=${seconds}`);
    c.header('Cache-Control', 'no-store');
    return answer(c, 200, toTaskView(record));
  });
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
