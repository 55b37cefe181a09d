// Reading queues: numbers only, never their tasks.

import { Hono } from 'hono';
import { PopfleetError } from '../../protocol/errors.ts';
import { QUEUE_NAME } from '../../protocol/names.ts';
import type { Inspector } from '../../store/inspector.ts';
import { answer } from '../answer.ts';
import type { AppEnv } from '../app-env.ts';

/** `GET /v1/queues` and `GET /v1/queues/{queue}`. */
export function queuesRoute(inspector: Inspector): Hono<AppEnv> {
  return new Hono<AppEnv>()
    .get('/v1/queues', async (c) => {
      const queues = await inspector.queues();
      return answer(c, 200, { items: await Promise.all(queues.map((name) => inspector.queue(name))) });
    })
    .get('/v1/queues/:queue', async (c) => {
      const name = c.req.param('queue');
      const known = QUEUE_NAME.test(name) && (await inspector.queues()).includes(name);
      if (!known) throw new PopfleetError('not-found', 'There is no such queue. GET /v1/queues lists them.');
      return answer(c, 200, await inspector.queue(name));
    });
}
