// Failures that have ended tasks for good, by their fingerprints.

import type { Context } from 'hono';
import * as v from 'valibot';
import { PopfleetError } from '../../protocol/errors.ts';
import { TASK_TYPE } from '../../protocol/names.ts';
import { toTime } from '../../protocol/time-text.ts';
import { type ErrorGroup, FINGERPRINT, type GroupPosition } from '../../store/error-groups.ts';
import { named } from '../../views/component.ts';
import { answer } from '../answer.ts';
import type { AppEnv } from '../app-env.ts';
import { visibleQueues } from '../caller.ts';
import type { Deps } from '../deps.ts';
import {
  instantEntry,
  type Operation,
  pageLimit,
  queueEntry,
  readQuery,
  ROWS_A_PAGE,
  type Route,
  route,
} from '../operation.ts';

const CURSOR_FAULT = 'must be what `next` of a page said';
/** Last seen, queue and fingerprint of the last group of a page. */
const CURSOR = /^(\d{1,16})~([a-z0-9][a-z0-9_.-]{0,63})~([0-9a-f]{16}|other)$/;

const listEntries = {
  queue: queueEntry('All queues that the key is for, unless given.'),
  type: v.optional(v.pipe(v.string(), v.regex(TASK_TYPE, `must match ${TASK_TYPE.source}`))),
  since: instantEntry('Last seen at this time or later'),
  limit: pageLimit('Groups'),
  cursor: v.optional(
    v.pipe(v.string(), v.regex(CURSOR, CURSOR_FAULT), v.description('`next` of the page before.')),
  ),
};

const counts = {
  dead: v.pipe(v.number(), v.description('its tasks that are dead now')),
  total: v.pipe(
    v.number(),
    v.description('how often a task has died of it; a task that is retried may again'),
  ),
  firstSeenAt: v.string(),
  lastSeenAt: v.string(),
};
const GroupSchema = named(
  'ErrorGroup',
  v.object({
    fingerprint: v.pipe(
      v.string(),
      v.description('16 hexadecimal digits; `other` for all kinds beyond the first thousand of a queue'),
    ),
    queue: v.string(),
    type: v.exactOptional(v.pipe(v.string(), v.description('absent of `other`'))),
    name: v.string(),
    message: v.pipe(v.string(), v.description('without what differs from task to task, in short')),
    ...counts,
    hours: v.exactOptional(
      v.pipe(
        v.object({
          latestAt: v.pipe(v.string(), v.description('when the newest hour with one began')),
          counts: v.pipe(
            v.array(v.number()),
            v.description('of each hour up to that, the newest last; 24 at most'),
          ),
        }),
        v.description('how often a task has died of it, by the hour'),
      ),
    ),
    sample: v.pipe(
      v.string(),
      v.description('id of its newest dead task; of the one that died last when none is dead now'),
    ),
  }),
);

/** A kind of failure as callers see it. */
export type ErrorGroupView = v.InferOutput<typeof GroupSchema>;

/** `GET /v1/errors` and `GET /v1/errors/{fingerprint}`. */
export function errorRoutes({ errors, inspector }: Pick<Deps, 'errors' | 'inspector'>): readonly Route[] {
  const queuesOf = async (c: Context<AppEnv>, wanted?: string): Promise<readonly string[]> =>
    (await visibleQueues(inspector, c.get('caller'))).filter(
      (queue) => wanted === undefined || queue === wanted,
    );

  return [
    route('GET', '/v1/errors', LIST, async (c) => {
      const { queue, type, since, limit = ROWS_A_PAGE, cursor } = readQuery(c, listEntries);
      const { groups, hasMore } = await errors.list({
        queues: await queuesOf(c, queue),
        type,
        since,
        limit,
        behind: cursor === undefined ? undefined : readCursor(cursor),
      });
      const last = groups.at(-1);
      const next = hasMore && last ? { next: writeCursor(last) } : {};
      return answer(c, 200, { items: groups.map(toView), ...next });
    }),
    route('GET', '/v1/errors/:fingerprint', GET_ONE, async (c) => {
      const fingerprint = c.req.param('fingerprint') ?? '';
      const groups = FINGERPRINT.test(fingerprint) ? await errors.find(await queuesOf(c), fingerprint) : [];
      if (groups.length === 0) {
        throw new PopfleetError('not-found', 'There is no such group of errors. GET /v1/errors lists them.');
      }
      const sum = (count: (group: ErrorGroup) => number): number =>
        groups.reduce((total, group) => total + count(group), 0);
      return answer(c, 200, {
        fingerprint,
        dead: sum(({ dead }) => dead),
        total: sum(({ total }) => total),
        firstSeenAt: toTime(Math.min(...groups.map(({ firstSeenAt }) => firstSeenAt))),
        lastSeenAt: toTime(Math.max(...groups.map(({ lastSeenAt }) => lastSeenAt))),
        items: groups.map(toView),
      });
    }),
  ];
}

const LIST: Operation = {
  id: 'listErrors',
  tag: 'tasks',
  summary: 'Dead letters by fingerprint',
  description:
    'Each kind of failure that has ended tasks for good, the one that was seen last comes first. `GET /v1/tasks?fingerprint=` has its tasks.',
  scope: 'read',
  query: listEntries,
  answers: {
    200: {
      description: 'A page.',
      schema: named(
        'ErrorPage',
        v.object({
          items: v.array(GroupSchema),
          next: v.exactOptional(v.pipe(v.string(), v.description('`cursor` of the next page'))),
        }),
      ),
    },
  },
  problems: ['invalid-query'],
};
const GET_ONE: Operation = {
  id: 'getError',
  tag: 'tasks',
  summary: 'One kind of failure, over all queues',
  scope: 'read',
  answers: {
    200: {
      description: 'Its numbers together, and those of each queue.',
      schema: named(
        'ErrorGroups',
        v.object({ fingerprint: v.string(), ...counts, items: v.array(GroupSchema) }),
      ),
    },
  },
  problems: ['not-found'],
};

function toView({ firstSeenAt, lastSeenAt, ...group }: ErrorGroup): ErrorGroupView {
  const { type, hours, ...rest } = group;
  return {
    ...rest,
    ...(type === undefined ? {} : { type }),
    ...(hours === undefined
      ? {}
      : { hours: { latestAt: toTime(hours.latestAt), counts: [...hours.counts] } }),
    firstSeenAt: toTime(firstSeenAt),
    lastSeenAt: toTime(lastSeenAt),
  };
}

function writeCursor({ lastSeenAt, queue, fingerprint }: GroupPosition): string {
  return `${lastSeenAt}~${queue}~${fingerprint}`;
}

function readCursor(text: string): GroupPosition {
  const [, lastSeenAt, queue = '', fingerprint = ''] = CURSOR.exec(text) ?? [];
  return { lastSeenAt: Number(lastSeenAt), queue, fingerprint };
}
