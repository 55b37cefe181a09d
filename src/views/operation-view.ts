// An operation as callers see it.

import * as v from 'valibot';
import { compact } from '../protocol/compact.ts';
import { InstantSchema } from '../protocol/instant.ts';
import { QUEUE_NAME, TASK_ID, TASK_TYPE } from '../protocol/names.ts';
import { TagSchema } from '../protocol/options.ts';
import { TASK_STATES } from '../protocol/task-state.ts';
import { toOptionalTime, toTime } from '../protocol/time-text.ts';
import { FINGERPRINT } from '../store/error-groups.ts';
import { ACTIONS, OPERATION_STATES, type OperationRecord } from '../store/operations.ts';
import { FIELD } from '../store/terms.ts';
import { named } from './component.ts';

const REASON_CHARS = 200;
/** They are kept with the operation, which a list of operations has as well. */
const MOST_IDS = 100;
/** More than any queue has. */
const MOST_TASKS = 1_000_000_000;
/** More are not watched at the same time (operate.lua). */
const MOST_FIRST = 1_000;

const Instant = v.pipe(
  InstantSchema,
  v.metadata({
    description: 'RFC 3339, or milliseconds since 1970',
    anyOf: [
      { type: 'string', format: 'date-time' },
      { type: 'integer', minimum: 0 },
    ],
  }),
);

const filterEntries = {
  queue: v.pipe(v.string('must be text'), v.regex(QUEUE_NAME, `must match ${QUEUE_NAME.source}`)),
  ids: v.exactOptional(
    v.pipe(
      v.array(
        v.pipe(v.string('must be text'), v.regex(TASK_ID, 'must be the id of a task')),
        'must be a list',
      ),
      v.minLength(1, 'must have at least one id'),
      v.maxLength(MOST_IDS, `must have at most ${MOST_IDS} ids`),
      v.description('these tasks alone'),
    ),
  ),
  state: v.exactOptional(v.picklist(TASK_STATES, `must be one of ${TASK_STATES.join(', ')}`)),
  type: v.exactOptional(
    v.pipe(v.string('must be text'), v.regex(TASK_TYPE, `must match ${TASK_TYPE.source}`)),
  ),
  fingerprint: v.exactOptional(
    v.pipe(
      v.string('must be text'),
      v.regex(FINGERPRINT, 'must be 16 hexadecimal digits, or `other`'),
      v.description('of the error of dead tasks'),
    ),
  ),
  error: v.exactOptional(
    v.pipe(
      v.string('must be text'),
      v.minLength(1, 'must not be empty'),
      v.maxLength(256, 'must have at most 256 characters'),
      v.description('name of the error of dead tasks'),
    ),
  ),
  tag: v.exactOptional(TagSchema),
  field: v.exactOptional(
    v.pipe(
      v.string('must be text'),
      v.regex(FIELD, 'must be a name and a value with a colon between, such as `customer:4711`'),
      v.description('a field that their definition declares (`search`), and its value'),
    ),
  ),
  acceptedAfter: v.exactOptional(Instant),
  acceptedBefore: v.exactOptional(Instant),
  endedAfter: v.exactOptional(Instant),
  endedBefore: v.exactOptional(Instant),
};

/** A whole number; `what` for the document. */
function count(least: number, most: number, what: string) {
  const expected = `must be a whole number from ${least} to ${most}`;
  return v.pipe(
    v.number(expected),
    v.integer(expected),
    v.minValue(least, expected),
    v.maxValue(most, expected),
    v.description(what),
  );
}

/** What a person says of a change. */
export const ReasonSchema = v.pipe(
  v.string('must be text'),
  v.maxLength(REASON_CHARS, `must have at most ${REASON_CHARS} characters`),
);

const requestEntries = {
  action: v.picklist(ACTIONS, `must be one of ${ACTIONS.join(', ')}`),
  filter: v.strictObject(filterEntries, 'must be an object'),
  to: v.exactOptional(v.pipe(filterEntries.queue, v.description('the queue to which `move` moves'))),
  reason: v.exactOptional(ReasonSchema),
  first: v.exactOptional(count(1, MOST_TASKS, 'does it to so many, and then to no more')),
  stopAfterErrors: v.exactOptional(
    count(1, MOST_TASKS, 'watches what it retries, and stops when so many are dead again'),
  ),
  thenRest: v.exactOptional(
    v.pipe(
      v.boolean('must be true or false'),
      v.description('goes on with the others by itself once the first ones have ended'),
    ),
  ),
};

const RequestSchema = v.strictObject(
  {
    ...requestEntries,
    dryRun: v.exactOptional(
      v.pipe(v.boolean('must be true or false'), v.description('changes nothing, and gives `confirm`')),
    ),
    confirm: v.exactOptional(
      v.pipe(v.string('must be text'), v.description('from the answer of a dry run, within five minutes')),
    ),
  },
  'must be an object',
);

/** What `POST /v1/operations` takes. */
export const OperationRequestSchema = named('OperationRequest', RequestSchema);

/** The same with the rules between its fields. */
export const OperationCallSchema = v.pipe(
  RequestSchema,
  v.forward(
    v.partialCheck(
      [['action'], ['to']],
      ({ action, to }) => (to !== undefined) === (action === 'move'),
      'must be given with the action move, and with no other',
    ),
    ['to'],
  ),
  v.forward(
    v.partialCheck(
      [['filter', 'queue'], ['to']],
      ({ filter, to }) => to !== filter.queue,
      'must be another queue than that of the filter',
    ),
    ['to'],
  ),
  v.forward(
    v.partialCheck(
      [['action'], ['stopAfterErrors']],
      ({ action, stopAfterErrors }) => stopAfterErrors === undefined || action === 'retry',
      'can be given with the action retry alone: others run nothing that could fail',
    ),
    ['stopAfterErrors'],
  ),
  v.forward(
    v.partialCheck(
      [['first'], ['stopAfterErrors']],
      ({ first = 1, stopAfterErrors }) => stopAfterErrors === undefined || first <= MOST_FIRST,
      `must be at most ${MOST_FIRST} together with stopAfterErrors: more are not watched at the same time`,
    ),
    ['first'],
  ),
  v.forward(
    v.partialCheck(
      [['first'], ['stopAfterErrors'], ['thenRest']],
      ({ first, stopAfterErrors, thenRest }) =>
        thenRest === undefined || (first !== undefined && stopAfterErrors !== undefined),
      'needs first and stopAfterErrors',
    ),
    ['thenRest'],
  ),
);
export type OperationCall = v.InferOutput<typeof OperationCallSchema>;

const Numbers = v.record(v.string(), v.number());

export const MatchSchema = named(
  'OperationMatch',
  v.object({
    matched: v.object({
      value: v.number(),
      relation: v.pipe(
        v.picklist(['eq', 'gte']),
        v.description('`gte`: the first 10,000 tasks were looked at, there may be more that match'),
      ),
    }),
    sample: v.pipe(v.array(v.string()), v.description('ids of the first that match, at most five')),
    perState: Numbers,
    estimateSeconds: v.pipe(
      v.number(),
      v.description(
        'about how many seconds it takes for all that match, without what it waits for: other operations, and the ends of what it has retried or moved',
      ),
    ),
    confirm: v.pipe(
      v.string(),
      v.description('to be sent with the same action and filter by the same caller, within five minutes'),
    ),
  }),
);

const Time = v.pipe(v.string(), v.isoTimestamp());

const NextSchema = v.object({
  action: v.picklist(ACTIONS),
  filter: v.looseObject({ queue: v.string() }),
  to: v.exactOptional(v.string()),
  stopAfterErrors: v.exactOptional(v.number()),
  confirm: v.string(),
});

export const OperationSchema = named(
  'Operation',
  v.object({
    id: v.string(),
    queue: v.string(),
    state: v.pipe(
      v.picklist(OPERATION_STATES),
      v.description(
        '`watching`: it waits for the ends of what it has retried; `stopped`: too many of these were dead again',
      ),
    ),
    action: v.picklist(ACTIONS),
    filter: v.looseObject({ queue: v.string() }),
    to: v.exactOptional(v.string()),
    by: v.exactOptional(v.pipe(v.string(), v.description('id of the key of whoever asked for it'))),
    reason: v.exactOptional(v.string()),
    first: v.exactOptional(v.number()),
    stopAfterErrors: v.exactOptional(v.number()),
    thenRest: v.exactOptional(v.boolean()),
    matched: v.pipe(
      v.number(),
      v.description('so far: always `done` and the numbers of `skipped` and `failed` together'),
    ),
    done: v.number(),
    requested: v.pipe(v.number(), v.description('of `done`: tasks that ran, and were asked to stop')),
    skipped: v.pipe(
      Numbers,
      v.description(
        'number by reason: `running`, `already-requested`, `pinned` (what follows its end is still to be accepted)',
      ),
    ),
    failed: v.pipe(Numbers, v.description('number by reason: `unreadable`')),
    watched: v.exactOptional(
      v.pipe(
        v.object({ succeeded: v.number(), dead: v.number(), others: v.number() }),
        v.description(
          'how those that it has retried have ended so far; `others` were cancelled, or are gone',
        ),
      ),
    ),
    createdAt: Time,
    startedAt: v.exactOptional(Time),
    endedAt: v.exactOptional(Time),
    ratePerSecond: v.exactOptional(v.pipe(v.number(), v.description('tasks done in a second, on average'))),
    etaMs: v.exactOptional(v.pipe(v.number(), v.description('about how long it still takes'))),
    next: v.exactOptional(
      v.pipe(
        v.looseObject(NextSchema.entries),
        v.description('of one that was for the `first` ones: the body that does it to the others'),
      ),
    ),
  }),
);
export type OperationView = v.InferOutput<typeof OperationSchema>;

/**
 * @param now milliseconds since 1970
 * @param confirm for the same action and filter
 */
export function toOperationView(record: OperationRecord, now: number, confirm: string): OperationView {
  const { id, action, filter, to, state, by, reason, first, stopAfterErrors, thenRest } = record;
  const { matched, done, requested = 0, skipped, failed, watched, startedAt, endedAt } = record;
  return compact<OperationView>({
    id,
    queue: filter.queue,
    state,
    action,
    filter: { ...filter },
    to,
    by,
    reason,
    first,
    stopAfterErrors,
    thenRest,
    matched,
    done,
    requested,
    skipped: { ...skipped },
    failed: { ...failed },
    watched,
    createdAt: toTime(record.createdAt),
    startedAt: toOptionalTime(startedAt),
    endedAt: toOptionalTime(endedAt),
    ...paceOf(record, now),
    next:
      state === 'done' && first !== undefined && !record.isWalked
        ? compact({ action, filter: { ...filter }, to, stopAfterErrors, confirm })
        : undefined,
  });
}

/** The clocks of Redis and of the server need not agree: both are about. */
function paceOf(
  { state, startedAt, endedAt, done, looked, total }: OperationRecord,
  now: number,
): Partial<Pick<OperationView, 'ratePerSecond' | 'etaMs'>> {
  if (startedAt === undefined) return {};
  const seconds = Math.max(1, (endedAt ?? now) - startedAt) / 1_000;
  const ratePerSecond = Math.round(done / seconds);
  if (state !== 'running' || looked === 0) return { ratePerSecond };
  return { ratePerSecond, etaMs: Math.round((Math.max(0, total - looked) * seconds * 1_000) / looked) };
}
