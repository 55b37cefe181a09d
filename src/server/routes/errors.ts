// Failures that have ended tasks for good, by their fingerprints.

import type { Context } from 'hono';
import * as v from 'valibot';
import { compact } from '../../protocol/compact.ts';
import { PopfleetError } from '../../protocol/errors.ts';
import { InstantSchema } from '../../protocol/instant.ts';
import { QUEUE_NAME, TASK_TYPE } from '../../protocol/names.ts';
import { toOptionalTime, toTime } from '../../protocol/time-text.ts';
import { noList, validate } from '../../protocol/validate.ts';
import { type ErrorGroup, FINGERPRINT, type GroupPosition, type Ignoring } from '../../store/error-groups.ts';
import { named } from '../../views/component.ts';
import { answer } from '../answer.ts';
import type { AppEnv } from '../app-env.ts';
import { noteForAudit } from '../audited.ts';
import { readOptionalBody } from '../body.ts';
import { visibleQueues } from '../caller.ts';
import type { Deps } from '../deps.ts';
import {
  booleanEntry,
  instantEntry,
  type Operation,
  pageLimit,
  queueEntry,
  readQuery,
  ROWS_A_PAGE,
  type Route,
  route,
} from '../operation.ts';
import { workersOf } from './fleet.ts';

const CURSOR_FAULT = 'must be what `next` of a page said';
/** Last seen, queue and fingerprint of the last group of a page. */
const CURSOR = /^(\d{1,16})~([a-z0-9][a-z0-9_.-]{0,63})~([0-9a-f]{16}|other)$/;

const listEntries = {
  queue: queueEntry('All queues that the key is for, unless given.'),
  type: v.optional(v.pipe(v.string(), v.regex(TASK_TYPE, `must match ${TASK_TYPE.source}`))),
  since: instantEntry('Last seen at this time or later'),
  ignored: booleanEntry('Those that are ignored alone, or all others alone.'),
  new: booleanEntry(
    '`true`: those alone that were first seen since the oldest live worker of their queue started, so in the code that runs now. A queue without live workers has none.',
  ),
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
    attempts: v.exactOptional(
      v.pipe(
        v.object({ least: v.number(), most: v.number() }),
        v.description('the fewest and the most attempts that a task had had when it died of it'),
      ),
    ),
    versions: v.pipe(
      v.array(v.string()),
      v.description(
        'of the code of the workers (`CODE_VERSION`) under which tasks have died of it: the latest five, the latest first; an error that no worker has reported has none',
      ),
    ),
    sample: v.pipe(
      v.string(),
      v.description('id of its newest dead task; of the one that died last when none is dead now'),
    ),
    ignored: v.exactOptional(
      v.pipe(
        v.object({
          until: v.exactOptional(v.string()),
          untilTotal: v.exactOptional(
            v.pipe(v.number(), v.description('it is over once `total` is beyond this')),
          ),
        }),
        v.description('as long as nobody is warned of it; what comes first ends that'),
      ),
    ),
  }),
);

/** A kind of failure as callers see it. */
export type ErrorGroupView = v.InferOutput<typeof GroupSchema>;

const MOST_DEATHS = 1_000_000_000;
const DEATHS_FAULT = `must be a whole number from 0 to ${MOST_DEATHS}`;
const IgnoreSchema = named(
  'IgnoreRequest',
  v.strictObject(
    {
      queue: v.optional(
        v.pipe(
          v.string(),
          v.regex(QUEUE_NAME, `must match ${QUEUE_NAME.source}`),
          v.description('in this queue alone; unless given, in each queue of the key that has it'),
        ),
      ),
      until: v.optional(v.pipe(InstantSchema, v.description('then it is over'))),
      moreDeaths: v.optional(
        v.pipe(
          v.number(DEATHS_FAULT),
          v.integer(DEATHS_FAULT),
          v.minValue(0, DEATHS_FAULT),
          v.maxValue(MOST_DEATHS, DEATHS_FAULT),
          v.description('it is over as soon as more tasks than that have died of it from now on'),
        ),
      ),
    },
    'must be an object',
  ),
);
const queueEntries = { queue: queueEntry('In this queue alone.') };

/** `GET /v1/errors`, `GET /v1/errors/{fingerprint}`, and `PUT` and `DELETE …/ignored`. */
export function errorRoutes({
  errors,
  inspector,
  bodyLimitBytes,
}: Pick<Deps, 'errors' | 'inspector' | 'bodyLimitBytes'>): readonly Route[] {
  const queuesOf = async (c: Context<AppEnv>, wanted?: string): Promise<readonly string[]> =>
    (await visibleQueues(inspector, c.get('caller'))).filter(
      (queue) => wanted === undefined || queue === wanted,
    );

  /** Since when each queue has had none but the workers of now; without those that have no live worker. */
  async function workersSince(queues: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const workers = await workersOf(inspector, queues);
    const since = new Map<string, number>();
    for (const { queue, startedAt = Number.POSITIVE_INFINITY } of workers)
      since.set(queue, Math.min(startedAt, since.get(queue) ?? Number.POSITIVE_INFINITY));
    return since;
  }

  /** In each queue that the caller may see, or in this one. */
  async function find(c: Context<AppEnv>, queue?: string): Promise<readonly ErrorGroup[]> {
    const fingerprint = c.req.param('fingerprint') ?? '';
    const groups = FINGERPRINT.test(fingerprint)
      ? await errors.find(await queuesOf(c, queue), fingerprint)
      : [];
    if (groups.length > 0) return groups;
    throw new PopfleetError('not-found', 'There is no such group of errors. GET /v1/errors lists them.');
  }

  async function change(c: Context<AppEnv>, queue: string | undefined, how: Ignoring | undefined) {
    const queues = (await find(c, queue)).map((group) => group.queue);
    await errors.ignore(queues, c.req.param('fingerprint') ?? '', how);
    noteForAudit(c, compact({ queue, queues: queue === undefined ? queues : undefined, ...how }));
    return answer(c, 200, sumUp(await find(c)));
  }

  return [
    route('GET', '/v1/errors', LIST, async (c) => {
      const query = readQuery(c, listEntries);
      const { queue, type, since, ignored, limit = ROWS_A_PAGE, cursor } = query;
      const queues = await queuesOf(c, queue);
      const { groups, hasMore } = await errors.list({
        queues,
        type,
        since,
        ignored: ignored === undefined ? undefined : ignored === 'true',
        firstSince: query.new === 'true' ? await workersSince(queues) : undefined,
        limit,
        behind: cursor === undefined ? undefined : readCursor(cursor),
      });
      const last = groups.at(-1);
      const next = hasMore && last ? { next: writeCursor(last) } : {};
      return answer(c, 200, { items: groups.map(toView), ...next });
    }),
    route('GET', '/v1/errors/:fingerprint', GET_ONE, async (c) => answer(c, 200, sumUp(await find(c)))),
    route('PUT', '/v1/errors/:fingerprint/ignored', IGNORE, async (c) => {
      const body = await readOptionalBody(c, bodyLimitBytes);
      const { queue, until, moreDeaths } = validate(noList(IgnoreSchema), body);
      return change(c, queue, { until, moreDeaths });
    }),
    route('DELETE', '/v1/errors/:fingerprint/ignored', HEED, (c) =>
      change(c, readQuery(c, queueEntries).queue, undefined),
    ),
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
const GROUPS = {
  200: {
    description: 'Its numbers together, and those of each queue.',
    schema: named(
      'ErrorGroups',
      v.object({ fingerprint: v.string(), ...counts, items: v.array(GroupSchema) }),
    ),
  },
} as const;
const GET_ONE: Operation = {
  id: 'getError',
  tag: 'tasks',
  summary: 'One kind of failure, over all queues',
  scope: 'read',
  answers: GROUPS,
  problems: ['not-found'],
};
const IGNORE: Operation = {
  id: 'ignoreError',
  tag: 'tasks',
  summary: 'Have nobody warned of a kind of failure for a while',
  description:
    'Its tasks are dead letters like all others, and are counted apart (`deadIgnored` of a queue). With neither an end nor a number it is ignored until `DELETE`, or until the group is gone.',
  scope: 'admin',
  body: { 'application/json': IgnoreSchema, 'application/cbor': IgnoreSchema },
  isBodyOptional: true,
  answers: GROUPS,
  problems: ['not-found', 'malformed-body', 'too-large', 'unsupported-media-type', 'invalid-input'],
};
const HEED: Operation = {
  id: 'heedError',
  tag: 'tasks',
  summary: 'Have people warned of a kind of failure again',
  scope: 'admin',
  query: queueEntries,
  answers: GROUPS,
  problems: ['not-found', 'invalid-query'],
};

/** One kind of failure over its queues, of which there is one at least. */
function sumUp(groups: readonly ErrorGroup[]) {
  const sum = (count: (group: ErrorGroup) => number): number =>
    groups.reduce((total, group) => total + count(group), 0);
  return {
    fingerprint: groups[0]?.fingerprint ?? '',
    dead: sum(({ dead }) => dead),
    total: sum(({ total }) => total),
    firstSeenAt: toTime(Math.min(...groups.map(({ firstSeenAt }) => firstSeenAt))),
    lastSeenAt: toTime(Math.max(...groups.map(({ lastSeenAt }) => lastSeenAt))),
    items: groups.map(toView),
  };
}

function toView({ firstSeenAt, lastSeenAt, ...group }: ErrorGroup): ErrorGroupView {
  const { type, hours, attempts, versions, ignored, ...rest } = group;
  return {
    ...rest,
    ...(attempts === undefined ? {} : { attempts }),
    versions: [...versions],
    ...(type === undefined ? {} : { type }),
    ...(hours === undefined
      ? {}
      : { hours: { latestAt: toTime(hours.latestAt), counts: [...hours.counts] } }),
    firstSeenAt: toTime(firstSeenAt),
    lastSeenAt: toTime(lastSeenAt),
    ...(ignored === undefined
      ? {}
      : {
          ignored: compact({ until: toOptionalTime(ignored.until), untilTotal: ignored.untilTotal }),
        }),
  };
}

function writeCursor({ lastSeenAt, queue, fingerprint }: GroupPosition): string {
  return `${lastSeenAt}~${queue}~${fingerprint}`;
}

function readCursor(text: string): GroupPosition {
  const [, lastSeenAt, queue = '', fingerprint = ''] = CURSOR.exec(text) ?? [];
  return { lastSeenAt: Number(lastSeenAt), queue, fingerprint };
}
