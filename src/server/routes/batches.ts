// Batches: tasks that are counted together, and what follows when all of them have ended.

import type { Context } from 'hono';
import * as v from 'valibot';
import type { Sender } from '../../accept/new-task.ts';
import { BatchSchema } from '../../protocol/batch.ts';
import { PopfleetError } from '../../protocol/errors.ts';
import { noList, validate } from '../../protocol/validate.ts';
import {
  BATCH_STATES,
  type BatchPlan,
  type BatchRecord,
  isOverBatch,
  memberId,
} from '../../store/batches.ts';
import { type BatchView, BatchViewSchema, toBatchView } from '../../views/batch-view.ts';
import { named, refTo } from '../../views/component.ts';
import { TaskRowSchema, toTaskRow } from '../../views/task-view.ts';
import { answer } from '../answer.ts';
import type { AppEnv } from '../app-env.ts';
import { createItemCheck, type GoodItem, isGood, refuseTakenKeys } from '../batch/items.ts';
import { nextTurn } from '../batch/next-turn.ts';
import { refusalOf } from '../batch/refusal.ts';
import { answerBatch, BatchReportSchema, toReport } from '../batch/report.ts';
import { readBodyOfMany } from '../body.ts';
import { knows, visibleQueues } from '../caller.ts';
import { ENQUEUE_PROBLEMS } from '../call-schema.ts';
import type { Deps } from '../deps.ts';
import { findBatch, noBatch } from '../find-batch.ts';
import { withKeyOfHeader } from '../idempotency-key.ts';
import { answerMade, madeContract } from '../made.ts';
import {
  integerEntry,
  type Operation,
  pageLimit,
  readQuery,
  ROWS_A_PAGE,
  type Route,
  route,
} from '../operation.ts';
import { appliedPreferences, preferencesOf, waitEntry } from '../prefer.ts';
import { durabilityHeader } from '../receipt.ts';
import { senderOf } from '../sender.ts';
import { waitForRecord } from '../wait-for-record.ts';
import { BATCH_BODIES, ITEM_LIMITS, readBatchItems } from './batch.ts';

const listEntries = {
  state: v.optional(v.picklist(BATCH_STATES, `must be one of ${BATCH_STATES.join(', ')}`)),
  name: v.optional(v.pipe(v.string(), v.description('Those whose name begins so, whatever the case.'))),
  limit: pageLimit('Batches'),
  cursor: v.optional(v.pipe(v.string(), v.uuid('must be what `next` of a page said'))),
};

const oneEntries = { wait: waitEntry };

const MOST_MEMBERS = 1_000_000;
const failedEntries = {
  limit: pageLimit('Tasks'),
  cursor: integerEntry(0, MOST_MEMBERS, 'What `next` of a page said.'),
};

type BatchesDeps = Pick<
  Deps,
  | 'accept'
  | 'acceptBatch'
  | 'batches'
  | 'inspector'
  | 'waiters'
  | 'quota'
  | 'bodyLimitBytes'
  | 'batchLimitBytes'
>;

/** `POST` and `GET /v1/batches`, `GET /v1/batches/{id}`, `POST …/tasks` and `…/close`. */
export function batchesRoutes(deps: BatchesDeps): readonly Route[] {
  const { accept, acceptBatch, batches, inspector, waiters } = deps;

  /** Those tasks of an array, all of them or none. */
  async function readTasks(tasks: readonly unknown[], sender: Sender): Promise<readonly GoodItem[]> {
    const check = createItemCheck(accept, sender, { itemBytes: deps.bodyLimitBytes, ...ITEM_LIMITS });
    const items = [];
    for (const [index, value] of tasks.entries()) {
      items.push(check(value, index));
      if (index % 250 === 249) await nextTurn();
    }
    return admit(await refuseTakenKeys(items, accept), sender, '/tasks');
  }

  async function admit(
    items: Awaited<ReturnType<typeof refuseTakenKeys>>,
    sender: Sender,
    at = '',
  ): Promise<readonly GoodItem[]> {
    const good = items.filter(isGood);
    if (good.length < items.length) throw refusalOf(items, at);
    await accept.admitMany(
      good.filter(({ isRepeat }) => !isRepeat),
      sender,
    );
    return good;
  }

  return [
    route('POST', '/v1/batches', OPEN, async (c) => {
      const given = validate(noList(BatchSchema), await readBodyOfMany(c, deps.batchLimitBytes));
      const call = withKeyOfHeader(c, given);
      const sender = senderOf(c, deps.quota);
      const tasks = call.tasks && (await readTasks(call.tasks, sender));
      const { id, home, isReplayed, ...sent } = await acceptBatch.open(call, tasks, sender);
      const record = await batches.find(id, [home]);
      if (!record) throw new PopfleetError('internal', 'The batch is gone already. Is Redis being emptied?');
      const body = viewFor(c, record);
      return answerMade(c, body, isReplayed, durabilityHeader(sent.tasks, sent.verdicts));
    }),
    route('GET', '/v1/batches', LIST, async (c) => {
      const { limit = ROWS_A_PAGE, cursor, state, name } = readQuery(c, listEntries);
      const queues = await visibleQueues(inspector, c.get('caller'));
      const { records, next } = await batches.list(queues, { limit, before: cursor, state, name });
      const items = records.map((record) => viewFor(c, record));
      return answer(c, 200, next === undefined ? { items } : { items, next });
    }),
    route('GET', '/v1/batches/:batch', GET_ONE, async (c) => {
      const { waitSeconds } = preferencesOf(c, readQuery(c, oneEntries).wait);
      const wait = { ms: waitSeconds * 1_000, find: batches.find, isOver: isOverBatch };
      const record = await waitForRecord(c, waiters, await findBatch(deps, c), wait);
      if (!record) throw noBatch();
      const headers = appliedPreferences({ waitSeconds, minimal: false });
      return answer(c, 200, viewFor(c, record), headers);
    }),
    failedRoute(deps),
    route('POST', '/v1/batches/:batch/tasks', ADD, async (c) => {
      const { plan, progress } = await findBatch(deps, c);
      if (progress.isClosed) throw closed();
      const sender = senderOf(c, deps.quota);
      const read = await readBatchItems(c, deps, sender);
      const items = await refuseTakenKeys(read, accept);
      const good = await admit(items, sender);
      const sent = await acceptBatch.add(plan.home, plan.id, good);
      const members = sent.tasks.map((task, at) => ({ ...task, index: at }));
      return answerBatch(c, toReport(members, sent.verdicts, false), c.get('rateLimit'));
    }),
    route('POST', '/v1/batches/:batch/close', CLOSE, async (c) => {
      const { plan } = await findBatch(deps, c);
      await batches.close(plan.home, plan.id);
      return answer(c, 200, viewFor(c, await findBatch(deps, c)));
    }),
  ];
}

/** Whoever sees its home queue sees it; what follows only those who see the queue of that. */
function viewFor(c: Context<AppEnv>, { plan, progress }: BatchRecord): BatchView {
  const seen = (then: BatchPlan['success']) =>
    then && knows(c.get('caller'), then.queue) ? then : undefined;
  const own = { ...plan, success: seen(plan.success), complete: seen(plan.complete) };
  return toBatchView({ plan: own, progress }, c.get('basePath'));
}

function failedRoute(deps: BatchesDeps): Route {
  const { batches, inspector } = deps;
  return route('GET', '/v1/batches/:batch/failed', FAILED, async (c) => {
    const { limit = ROWS_A_PAGE, cursor = 0 } = readQuery(c, failedEntries);
    const record = await findBatch(deps, c);
    const queues = new Set(await visibleQueues(inspector, c.get('caller')));
    const { numbers, next } = await batches.failed(record, limit, cursor);
    const ids = numbers.map((number) => memberId(record.plan.id, number));
    const tasks = await Promise.all(ids.map((id) => inspector.task(id, queues)));
    const items = tasks.flatMap((task) => (task ? [toTaskRow(task, c.get('basePath'))] : []));
    return answer(c, 200, next === undefined ? { items } : { items, next: String(next) });
  });
}

function closed(): PopfleetError {
  return new PopfleetError('invalid-state', 'The batch is closed: it takes no more tasks.');
}

const ONE = { description: 'The batch as it is now.', schema: BatchViewSchema } as const;
/** In the document a task is written once. */
const TaskRef = v.pipe(
  v.custom<unknown>(() => true),
  v.metadata({ $ref: refTo('TaskRequest') }),
);
const RequestSchema = named(
  'BatchRequest',
  v.strictObject({
    ...BatchSchema.entries,
    then: v.optional(v.strictObject({ success: v.optional(TaskRef), complete: v.optional(TaskRef) })),
    tasks: v.optional(v.array(TaskRef)),
  }),
);

const OPEN: Operation = {
  id: 'openBatch',
  tag: 'batches',
  summary: 'Open a batch, or send one with all of its tasks',
  description:
    'A batch counts tasks of any queues. `then.complete` follows once, when it is closed and all of them have ended; `then.success` once, when all have succeeded, also after dead ones were retried. With `tasks` (at most 10,000) it is closed at once; without them it takes tasks until it is closed, up to 1,000,000. The same `key` finds the batch that was made with it, as long as its record is kept; within a minute it sends what is missing of one that was interrupted while its tasks were sent.',
  ...madeContract(RequestSchema, ONE),
  problems: [...ENQUEUE_PROBLEMS, 'forbidden'],
};
const LIST: Operation = {
  id: 'listBatches',
  tag: 'batches',
  summary: 'Batches, newest first',
  description:
    'A page may have fewer rows than `limit` although more follow: go on with `next` as long as there is one.',
  scope: 'read',
  query: listEntries,
  answers: {
    200: {
      description: 'A page. `next` is the cursor of the next one.',
      schema: v.object({ items: v.array(BatchViewSchema), next: v.exactOptional(v.string()) }),
    },
  },
  problems: ['invalid-query'],
};
const GET_ONE: Operation = {
  id: 'getBatch',
  tag: 'batches',
  summary: 'One batch',
  description: 'With `wait` it is answered once all of its tasks have ended, or the time is over.',
  scope: 'read',
  query: oneEntries,
  headers: { Prefer: '`wait=<seconds>` (RFC 7240): as the query parameter.' },
  answers: { 200: ONE },
  problems: ['not-found', 'invalid-query', 'overloaded'],
};
const FAILED: Operation = {
  id: 'listFailedOfBatch',
  tag: 'batches',
  summary: 'Tasks of a batch that are dead or cancelled',
  description:
    'In the order in which they were added, those of one call by their queues. Those whose rows are gone are left out.',
  scope: 'read',
  query: failedEntries,
  answers: {
    200: {
      description: 'A page. `next` is the cursor of the next one.',
      schema: v.object({ items: v.array(TaskRowSchema), next: v.exactOptional(v.string()) }),
    },
  },
  problems: ['not-found', 'invalid-query'],
};
const ADD: Operation = {
  id: 'addToBatch',
  tag: 'batches',
  summary: 'Add up to 10,000 tasks to an open batch',
  description:
    'All or none. The answer has the id of each, as that of `POST /v1/tasks/batch`. A task whose key has made it before is none of the batch.',
  scope: 'enqueue',
  body: BATCH_BODIES,
  answers: {
    202: {
      description: 'Redis has the tasks.',
      content: { 'application/json': BatchReportSchema, 'application/cbor': BatchReportSchema },
    },
  },
  problems: [...ENQUEUE_PROBLEMS, 'not-found', 'invalid-state', 'forbidden'],
};
const CLOSE: Operation = {
  id: 'closeBatch',
  tag: 'batches',
  summary: 'Close a batch: it takes no more tasks',
  description: 'One that has no tasks has ended then. To close it twice is to close it once.',
  scope: 'enqueue',
  answers: { 200: ONE },
  problems: ['not-found'],
};
