// Queues: their numbers, never their tasks; what shows that they are whole; pause and resume.

import type { Context } from 'hono';
import * as v from 'valibot';
import { compact } from '../../protocol/compact.ts';
import { PopfleetError } from '../../protocol/errors.ts';
import { QUEUE_NAME } from '../../protocol/names.ts';
import { toOptionalTime, toTime } from '../../protocol/time-text.ts';
import type { LedgerReading } from '../../store/ledger-reader.ts';
import { answer } from '../answer.ts';
import type { AppEnv } from '../app-env.ts';
import type { Deps } from '../deps.ts';
import { knows, visibleQueues } from '../caller.ts';
import { named } from '../../views/component.ts';
import { readOptionalBody } from '../body.ts';
import { noteForAudit } from '../audited.ts';
import { noList, validate } from '../../protocol/validate.ts';
import { ReasonSchema } from '../../views/operation-view.ts';
import { type Operation, readQuery, type Route, route } from '../operation.ts';

const QueueSchema = named(
  'Queue',
  v.object({
    queue: v.string(),
    paused: v.boolean(),
    pausedSince: v.exactOptional(v.pipe(v.string(), v.description('absent: it is open'))),
    pausedReason: v.exactOptional(
      v.pipe(v.string(), v.description('why, as it was said; absent: nobody has')),
    ),
    counts: v.pipe(
      v.record(v.string(), v.number()),
      v.description('tasks by state; `accepted` is the sum of all states and `removed`'),
    ),
    ready: v.pipe(v.record(v.string(), v.number()), v.description('length of each lane')),
    oldestReadyMs: v.exactOptional(
      v.pipe(
        v.number(),
        v.description(
          'how long the task that waits for longest has been ready; 0: none is; absent: not known',
        ),
      ),
    ),
    deadIgnored: v.exactOptional(
      v.pipe(
        v.number(),
        v.description('tasks among the dead whose kind of failure is ignored; absent: none'),
      ),
    ),
    malformed: v.pipe(
      v.number(),
      v.description('messages that are none of popfleet; the latest 1,000 are kept'),
    ),
    malformedDropped: v.exactOptional(
      v.pipe(v.number(), v.description('how many there were before those; absent: none')),
    ),
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

const LedgerSchema = named(
  'Ledger',
  v.object({
    queue: v.string(),
    at: v.pipe(v.string(), v.description('when all of it was read, at one moment')),
    counts: v.pipe(
      v.record(v.string(), v.number()),
      v.description('tasks by state; `accepted` is the sum of all states and `removed`'),
    ),
    imbalance: v.pipe(v.number(), v.description('what `accepted` has beyond that sum: always 0')),
    lanes: v.pipe(
      v.record(v.string(), v.object({ messages: v.number(), copies: v.number() })),
      v.description(
        'of each lane, messages that wait for a worker, and the copies of those that popfleet has pushed; a copy without a message was popped: it is claimed next, or the next sweep looks at it',
      ),
    ),
    unclaimed: v.pipe(
      v.object({
        count: v.number(),
        items: v.array(v.object({ id: v.string(), since: v.string() })),
      }),
      v.description(
        'messages that were popped and not claimed when the last sweep looked, and some of their tasks: they are pushed again',
      ),
    ),
    repaired: v.pipe(
      v.number(),
      v.description('popped messages that were never claimed, and pushed again, so far'),
    ),
    returned: v.pipe(v.number(), v.description('tasks that came back because their worker was lost, so far')),
    stale: v.pipe(
      v.number(),
      v.description('outcomes that were refused because another worker had the task by then, so far'),
    ),
    malformed: v.pipe(v.number(), v.description('messages that are none of popfleet, so far')),
    sweptAt: v.exactOptional(v.pipe(v.string(), v.description('when the last sweep was'))),
    sweepAt: v.exactOptional(v.pipe(v.string(), v.description('when the next is planned'))),
  }),
);

/** What shows that a queue is whole, as callers see it. */
export type LedgerView = v.InferOutput<typeof LedgerSchema>;

const PauseSchema = v.strictObject({ reason: v.exactOptional(ReasonSchema) }, 'must be an object');

const ONE = { 200: { description: 'The numbers of the queue.', schema: QueueSchema } } as const;
const LEDGER: Operation = {
  id: 'getLedger',
  tag: 'queues',
  summary: 'What shows that a queue is whole',
  description: 'All of it is read at one moment, so the numbers agree with each other.',
  scope: 'read',
  answers: { 200: { description: 'Counts, messages and their copies.', schema: LedgerSchema } },
  problems: ['not-found'],
};
const PAUSE: Operation = {
  id: 'pauseQueue',
  tag: 'queues',
  summary: 'Start nothing of a queue any more',
  description:
    'Running tasks finish, new ones are accepted. It holds until it is resumed. `reason` says why, wherever the queue is shown.',
  scope: 'admin',
  body: { 'application/json': PauseSchema, 'application/cbor': PauseSchema },
  isBodyOptional: true,
  answers: ONE,
  problems: ['not-found', 'malformed-body', 'too-large', 'unsupported-media-type', 'invalid-input'],
};
const RESUME: Operation = {
  id: 'resumeQueue',
  tag: 'queues',
  summary: 'Go on with a paused queue',
  scope: 'admin',
  answers: ONE,
  problems: ['not-found'],
};

/** `GET /v1/queues`, `GET /v1/queues/{queue}`, `GET …/ledger`, `POST …/pause` and `…/resume`. */
export function queueRoutes({
  inspector,
  operator,
  readLedger,
  bodyLimitBytes,
}: Pick<Deps, 'inspector' | 'operator' | 'readLedger' | 'bodyLimitBytes'>): readonly Route[] {
  async function find(c: Context<AppEnv>): Promise<string> {
    const name = c.req.param('queue') ?? '';
    if (QUEUE_NAME.test(name) && knows(c.get('caller'), name) && (await inspector.queues()).includes(name))
      return name;
    throw new PopfleetError('not-found', 'There is no such queue. GET /v1/queues lists them.');
  }

  async function view(name: string): Promise<QueueView> {
    const { pause, ...counts } = await inspector.queue(name);
    return compact<QueueView>({
      ...counts,
      paused: pause !== undefined,
      pausedSince: toOptionalTime(pause?.since),
      pausedReason: pause?.reason,
    });
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
        return answer(c, 200, { items: await Promise.all(queues.map(view)) });
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
      async (c) => answer(c, 200, await view(await find(c))),
    ),
    route('GET', '/v1/queues/:queue/ledger', LEDGER, async (c) => {
      const queue = await find(c);
      return answer(c, 200, toLedgerView(queue, await readLedger(queue)));
    }),
    route('POST', '/v1/queues/:queue/pause', PAUSE, async (c) => {
      const name = await find(c);
      const { reason } = validate(noList(PauseSchema), await readOptionalBody(c, bodyLimitBytes));
      await operator.pause(name, reason);
      if (reason !== undefined) noteForAudit(c, { reason });
      return answer(c, 200, await view(name));
    }),
    route('POST', '/v1/queues/:queue/resume', RESUME, async (c) => {
      const name = await find(c);
      await operator.resume(name);
      return answer(c, 200, await view(name));
    }),
  ];
}

function toLedgerView(queue: string, reading: LedgerReading): LedgerView {
  const { at, counts, totals, lanes, unclaimed, unclaimedTasks, sweptAt, sweepAt } = reading;
  return compact<LedgerView>({
    queue,
    at: toTime(at),
    counts,
    imbalance: totals.imbalance,
    lanes,
    unclaimed: {
      count: unclaimed,
      items: unclaimedTasks.map(({ id, since }) => ({ id, since: toTime(since) })),
    },
    repaired: totals.repaired,
    returned: totals.returned,
    stale: totals.stale,
    malformed: totals.malformed,
    sweptAt: toOptionalTime(sweptAt),
    sweepAt: toOptionalTime(sweepAt),
  });
}
