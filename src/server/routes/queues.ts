// Queues: their numbers, never their tasks; pause and resume.

import { Hono } from 'hono';
import { PopfleetError } from '../../protocol/errors.ts';
import { QUEUE_NAME } from '../../protocol/names.ts';
import type { Inspector } from '../../store/inspector.ts';
import type { Operator } from '../../store/operator.ts';
import { answer } from '../answer.ts';
import type { AppEnv } from '../app-env.ts';

export interface QueueRouteParts {
  readonly inspector: Inspector;
  readonly operator: Operator;
}

/** `GET /v1/queues`, `GET /v1/queues/{queue}`, `POST …/pause` and `…/resume`. */
export function queueRoutes({ inspector, operator }: QueueRouteParts): Hono<AppEnv> {
  async function known(name: string): Promise<string> {
    if (QUEUE_NAME.test(name) && (await inspector.queues()).includes(name)) return name;
    throw new PopfleetError('not-found', 'There is no such queue. GET /v1/queues lists them.');
  }

  return new Hono<AppEnv>()
    .get('/v1/queues', async (c) => {
      const queues = await inspector.queues();
      return answer(c, 200, { items: await Promise.all(queues.map((name) => inspector.queue(name))) });
    })
    .get('/v1/queues/:queue', async (c) => {
      return answer(c, 200, await inspector.queue(await known(c.req.param('queue'))));
    })
    .post('/v1/queues/:queue/pause', async (c) => {
      const name = await known(c.req.param('queue'));
      await operator.pause(name);
      return answer(c, 200, await inspector.queue(name));
    })
    .post('/v1/queues/:queue/resume', async (c) => {
      const name = await known(c.req.param('queue'));
      await operator.resume(name);
      return answer(c, 200, await inspector.queue(name));
    });
}
