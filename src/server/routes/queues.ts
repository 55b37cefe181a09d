// Queues: their numbers, never their tasks; pause and resume.

import type { Context } from 'hono';
import * as v from 'valibot';
import { PopfleetError } from '../../protocol/errors.ts';
import { QUEUE_NAME } from '../../protocol/names.ts';
import { answer } from '../answer.ts';
import type { AppEnv } from '../app-env.ts';
import type { Deps } from '../deps.ts';
import { knows, visibleQueues } from '../caller.ts';
import { named } from '../../views/component.ts';
import { readQuery, type Route, route } from '../operation.ts';

const QueueSchema = named(
  'Queue',
  v.object({
    queue: v.string(),
    paused: v.boolean(),
    counts: v.pipe(
      v.record(v.string(), v.number()),
      v.description('tasks by state; `accepted` is the sum of all states and `removed`'),
    ),
    ready: v.pipe(v.record(v.string(), v.number()), v.description('length of each lane')),
    malformed: v.pipe(v.number(), v.description('messages that are none of popfleet')),
    workers: v.number(),
    outbox: v.pipe(
      v.object({ length: v.number(), oldestMs: v.number() }),
      v.description(
        'ends of tasks whose `onEnd` or webhook waits to be accepted, and how long the oldest has waited',
      ),
    ),
  }),
);

/** A queue as callers see it. */
export type QueueView = v.InferOutput<typeof QueueSchema>;

const VERBS = {
  pause: {
    id: 'pauseQueue',
    summary: 'Start nothing of a queue any more',
    description: 'Running tasks finish, new ones are accepted. It holds until it is resumed.',
  },
  resume: { id: 'resumeQueue', summary: 'Go on with a paused queue' },
} as const;

const ONE = { 200: { description: 'The numbers of the queue.', schema: QueueSchema } } as const;
const ON_ONE = { tag: 'queues', scope: 'admin', answers: ONE, problems: ['not-found'] } as const;

/** `GET /v1/queues`, `GET /v1/queues/{queue}`, `POST …/pause` and `…/resume`. */
export function queueRoutes({ inspector, operator }: Pick<Deps, 'inspector' | 'operator'>): readonly Route[] {
  async function find(c: Context<AppEnv>): Promise<string> {
    const name = c.req.param('queue') ?? '';
    if (QUEUE_NAME.test(name) && knows(c.get('caller'), name) && (await inspector.queues()).includes(name))
      return name;
    throw new PopfleetError('not-found', 'There is no such queue. GET /v1/queues lists them.');
  }

  return [
    route(
      'GET',
      '/v1/queues',
      {
        id: 'listQueues',
        tag: 'queues',
        summary: 'All queues with their numbers',
        scope: 'read',
        query: {},
        answers: {
          200: { description: 'Every queue.', schema: v.object({ items: v.array(QueueSchema) }) },
        },
        problems: ['invalid-query'],
      },
      async (c) => {
        readQuery(c, {});
        const queues = await visibleQueues(inspector, c.get('caller'));
        return answer(c, 200, { items: await Promise.all(queues.map((name) => inspector.queue(name))) });
      },
    ),
    route(
      'GET',
      '/v1/queues/:queue',
      {
        id: 'getQueue',
        tag: 'queues',
        summary: 'One queue',
        scope: 'read',
        answers: ONE,
        problems: ['not-found'],
      },
      async (c) => answer(c, 200, await inspector.queue(await find(c))),
    ),
    ...(['pause', 'resume'] as const).map((verb) =>
      route('POST', `/v1/queues/:queue/${verb}`, { ...VERBS[verb], ...ON_ONE }, async (c) => {
        const name = await find(c);
        await operator[verb](name);
        return answer(c, 200, await inspector.queue(name));
      }),
    ),
  ];
}
