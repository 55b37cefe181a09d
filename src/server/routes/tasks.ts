// Reading, cancelling, replaying and removing tasks.

import type { Context } from 'hono';
import * as v from 'valibot';
import { PopfleetError } from '../../protocol/errors.ts';
import { typeOfContent } from '../../protocol/message.ts';
import { DEFAULT_QUEUE, QUEUE_NAME, TASK_TYPE } from '../../protocol/names.ts';
import { TagSchema } from '../../protocol/options.ts';
import { readTaskId } from '../../protocol/task-id.ts';
import { TASK_STATES } from '../../protocol/task-state.ts';
import { FINGERPRINT } from '../../store/error-groups.ts';
import { isCursor, type PageQuery } from '../../store/lister.ts';
import { readStep, type TaskRecord } from '../../store/record.ts';
import { FIELD, termsOf } from '../../store/terms.ts';
import { editInput } from '../../accept/edit-input.ts';
import { noList, validate } from '../../protocol/validate.ts';
import { readOptionalBody } from '../body.ts';
import { answer, respond } from '../answer.ts';
import type { AppEnv } from '../app-env.ts';
import { noteForAudit } from '../audited.ts';
import type { Deps } from '../deps.ts';
import { knows } from '../caller.ts';
import { named } from '../../views/component.ts';
import { findTask, noTask } from '../find-task.ts';
import { ExplanationSchema, explain } from '../explain.ts';
import {
  instantEntry,
  type Operation,
  pageLimit,
  readQuery,
  ROWS_A_PAGE,
  type Route,
  route,
} from '../operation.ts';
import { appliedPreferences, preferencesOf, waitEntry } from '../prefer.ts';
import { readTaskView, TaskRowSchema, TaskSchema, type TaskView, toTaskRow } from '../../views/task-view.ts';

/** How long caches may keep a finished task, which may still be removed or replayed. */
const FINISHED_FRESH_SECONDS = 60;

const CURSOR_FAULT = 'must be what `next` of a page of these conditions said';
const listEntries = {
  queue: v.optional(
    v.pipe(v.string(), v.regex(QUEUE_NAME, `must match ${QUEUE_NAME.source}`)),
    DEFAULT_QUEUE,
  ),
  state: v.optional(v.picklist(TASK_STATES, `must be one of ${TASK_STATES.join(', ')}`)),
  type: v.optional(v.pipe(v.string(), v.regex(TASK_TYPE, `must match ${TASK_TYPE.source}`))),
  tag: v.optional(v.pipe(TagSchema, v.description('Tasks that have this tag; indexed.'))),
  error: v.optional(
    v.pipe(
      v.string(),
      v.minLength(1, 'must not be empty'),
      v.maxLength(256, 'must have at most 256 characters'),
      v.description('Dead tasks with an error of this name, such as `TypeError`; indexed.'),
    ),
  ),
  fingerprint: v.optional(
    v.pipe(
      v.string(),
      v.regex(FINGERPRINT, 'must be 16 hexadecimal digits, or `other`'),
      v.description('Dead tasks of this group of `GET /v1/errors`; indexed.'),
    ),
  ),
  field: v.optional(
    v.pipe(
      v.string(),
      v.regex(FIELD, 'must be a name and a value with a colon between, such as `customer:4711`'),
      v.description(
        'Tasks with this value of a field that their definition declares (`search`), as `customer:4711`; indexed.',
      ),
    ),
  ),
  acceptedAfter: instantEntry('Accepted at this time or later'),
  acceptedBefore: instantEntry('Accepted before this time'),
  limit: pageLimit('Rows'),
  cursor: v.optional(
    v.pipe(v.string(), v.maxLength(100, CURSOR_FAULT), v.description('`next` of the page before.')),
  ),
};

const PageSchema = named(
  'TaskPage',
  v.object({
    items: v.array(TaskRowSchema),
    next: v.exactOptional(
      v.pipe(
        v.string(),
        v.description(
          '`cursor` of the next page; absent on the last. A page may be short, or empty, and have a next one.',
        ),
      ),
    ),
  }),
);

const RetrySchema = v.strictObject(
  { input: v.optional(v.unknown()), fromStart: v.optional(v.boolean('must be true or false')) },
  'must be an object',
);

const TASK = { description: 'The task as it is now.', schema: TaskSchema } as const;

/** `GET /v1/tasks`, and what can be done to one task under `/v1/tasks/{id}`. */
export function taskRoutes(
  deps: Pick<Deps, 'registry' | 'inspector' | 'operator' | 'waiters' | 'list' | 'bodyLimitBytes'>,
): readonly Route[] {
  const { inspector, operator, waiters } = deps;

  async function find(c: Context<AppEnv>, waitMs = 0): Promise<TaskRecord> {
    const id = c.req.param('id') ?? '';
    const look = (): Promise<TaskRecord | undefined> => findTask(c, inspector, id, waitMs > 0);
    const record =
      waitMs > 0
        ? await waiters.waitFor(readTaskId(id) ?? id, look, waitMs, c.req.raw.signal, c.get('caller').key)
        : await look();
    if (!record) throw noTask();
    return record;
  }

  const view = (c: Context<AppEnv>, record: TaskRecord): Promise<TaskView> =>
    readTaskView(record, inspector, deps.registry, c.get('basePath'));

  return [
    route('GET', '/v1/tasks', LIST, async (c) => {
      const query = readPageQuery(c);
      if (!knows(c.get('caller'), query.queue)) return answer(c, 200, { items: [] });
      const { records, next } = await deps.list(query);
      const page = {
        items: records.map((record) => toTaskRow(record, c.get('basePath'))),
        ...(next === undefined ? {} : { next }),
      };
      return answer(c, 200, page, next === undefined ? {} : { Link: nextLink(c, next) });
    }),
    route('GET', '/v1/tasks/:id', GET_ONE, async (c) => {
      const { waitSeconds } = preferencesOf(c, readQuery(c, { wait: waitEntry }).wait);
      const record = await find(c, waitSeconds * 1_000);
      // All others may run again: a dead one alone, a cancelled step with its workflow.
      const isFinal = record.state === 'succeeded';
      return answer(c, 200, await view(c, record), {
        'Cache-Control': isFinal ? `private, max-age=${FINISHED_FRESH_SECONDS}` : 'no-store',
        ...appliedPreferences({ waitSeconds, minimal: false }),
      });
    }),
    route('GET', '/v1/tasks/:id/log', GET_LOG, async (c) => {
      const { queue, id } = await find(c);
      return answer(c, 200, { id, lines: await inspector.log(queue, id) });
    }),
    route('GET', '/v1/tasks/:id/explain', EXPLAIN, async (c) => {
      const { queue, id } = await find(c);
      const facts = await inspector.explain(queue, id);
      // Read after the facts, so that a task that has moved meanwhile is shown as it is.
      const record = await find(c);
      return answer(c, 200, explain(record, typeOfContent(record.content) ?? 'unknown', facts));
    }),
    route('POST', '/v1/tasks/:id/cancel', CANCEL, async (c) => {
      const { queue, id } = await find(c);
      const word = await operator.cancel(queue, id);
      if (word === 'moved') throw onItsWay();
      if (word === 'succeeded' || word === 'dead') throw finished(word, 'cancelled');
      noteForAudit(c, { queue, answer: word });
      // A running task was only asked to stop; its state shows when it has.
      return answer(c, word === 'requested' ? 202 : 200, await view(c, await find(c)));
    }),
    route('POST', '/v1/tasks/:id/retry', RETRY, async (c) => {
      const record = await find(c);
      const { queue, id } = record;
      const given = validate(noList(RetrySchema), await readOptionalBody(c, deps.bodyLimitBytes));
      const edited =
        given.input === undefined ? undefined : editInput(deps.registry, record, given.input, Date.now());
      // What was kept for another input is of no use to this one.
      const isAnew = given.fromStart ?? edited !== undefined;
      const word = await operator.replay(queue, id, { isAnew, edited });
      if (word === 'moved') throw onItsWay();
      if (word === 'held') throw ofWorkflow(record, 'retried alone: retry the workflow');
      if (word !== 'replayed' && word !== 'unknown') throw finished(word, 'replayed: only dead tasks can be');
      noteForAudit(c, { queue });
      return answer(c, 202, await view(c, await find(c)));
    }),
    route('DELETE', '/v1/tasks/:id', REMOVE, async (c) => {
      const record = await findTask(c, inspector, c.req.param('id') ?? '');
      const word = record && (await operator.remove(record.queue, record.id));
      if (word === 'moved') throw onItsWay();
      noteForAudit(c, { queue: record?.queue, answer: word ?? 'unknown' });
      if (word === 'held') throw ofWorkflow(record, 'deleted before it has ended');
      if (word === 'running') throw new PopfleetError('invalid-state', 'The task runs. Cancel it first.');
      return respond(c, 204, null, {});
    }),
  ];
}

const LIST: Operation = {
  id: 'listTasks',
  tag: 'tasks',
  summary: 'Tasks of a queue, in pages',
  description:
    'All conditions hold together. With `tag`, `error`, `fingerprint` or `field` the tasks come newest first, from an index; `state` and `type` then narrow what it has. Without them all tasks of the state are looked at: dead ones come newest first, scheduled ones by their due time. All others come in pages that each have the newest of their own first: what is on one page is newer or older than what is on the next, in no certain order; each task that is there all the time comes at least once.',
  scope: 'read',
  query: listEntries,
  answers: { 200: { description: 'A page. `Link` with `rel="next"` is the next one.', schema: PageSchema } },
  problems: ['invalid-query'],
};
const GET_ONE: Operation = {
  id: 'getTask',
  tag: 'tasks',
  summary: 'A task, at once or when it is finished',
  scope: 'read',
  query: { wait: waitEntry },
  headers: { Prefer: '`wait=<seconds>` (RFC 7240): as the query parameter.' },
  answers: { 200: TASK },
  problems: ['not-found', 'invalid-query', 'overloaded'],
};
const GET_LOG: Operation = {
  id: 'getTaskLog',
  tag: 'tasks',
  summary: 'Lines that the handler of a task has logged',
  scope: 'read',
  answers: {
    200: {
      description: 'The latest lines.',
      schema: named('TaskLog', v.object({ id: v.string(), lines: v.array(v.string()) })),
    },
  },
  problems: ['not-found'],
};
const EXPLAIN: Operation = {
  id: 'explainTask',
  tag: 'tasks',
  summary: 'Why a task does not run yet',
  scope: 'read',
  answers: { 200: { description: 'Reasons, all true at one moment.', schema: ExplanationSchema } },
  problems: ['not-found'],
};
const CANCEL: Operation = {
  id: 'cancelTask',
  tag: 'tasks',
  summary: 'Cancel a task',
  description:
    'One that waits is cancelled at once (200). One that runs is asked to stop, and stopped if it does not (202).',
  scope: 'admin',
  answers: { 200: TASK, 202: { ...TASK, description: 'It runs and was asked to stop.' } },
  problems: ['not-found', 'invalid-state'],
};
const RETRY: Operation = {
  id: 'retryTask',
  tag: 'tasks',
  summary: 'Run a dead task again, with a fresh budget of attempts',
  description:
    'With `input` in the body it runs with that input, which its type checks, from then on. Its handler finds what it has kept with ' +
    '`context.checkpoint`, unless the input is another one or `fromStart` is true.',
  scope: 'admin',
  body: { 'application/json': RetrySchema, 'application/cbor': RetrySchema },
  isBodyOptional: true,
  answers: { 202: { ...TASK, description: 'It is ready again.' } },
  problems: [
    'not-found',
    'invalid-state',
    'redis-full',
    'malformed-body',
    'too-large',
    'unsupported-media-type',
    'invalid-input',
    'unknown-type',
  ],
};
const REMOVE: Operation = {
  id: 'deleteTask',
  tag: 'tasks',
  summary: 'Remove a task with all that is kept of it',
  description:
    'One that waits does not run any more. The answer is the same when there is no such task (any more).',
  scope: 'admin',
  answers: { 204: { description: 'There is no such task now.' } },
  problems: ['invalid-state'],
};

/** @throws PopfleetError `invalid-query` */
function readPageQuery(c: Context<AppEnv>): PageQuery {
  const given = readQuery(c, listEntries);
  const { queue, state, type, limit = ROWS_A_PAGE, cursor } = given;
  const { acceptedAfter = 0, acceptedBefore = Number.POSITIVE_INFINITY } = given;
  const terms = termsOf(given);
  if (cursor !== undefined && !isCursor(cursor, { state, terms })) {
    throw new PopfleetError('invalid-query', `\`cursor\` ${CURSOR_FAULT}.`);
  }
  const accept = ({ content, acceptedAt }: TaskRecord): boolean =>
    acceptedAt >= acceptedAfter &&
    acceptedAt < acceptedBefore &&
    (type === undefined || typeOfContent(content) === type);
  return { queue, state, terms, accept, limit, cursor };
}

/** The header `Link` (RFC 8288). */
function nextLink(c: Context<AppEnv>, next: string): string {
  const query = new URLSearchParams({ ...c.req.query(), cursor: next });
  return `<${c.get('basePath')}/v1/tasks?${query.toString()}>; rel="next"`;
}

function onItsWay(): PopfleetError {
  return new PopfleetError(
    'invalid-state',
    'The task is on its way to another queue. Try again in a moment: it can be found there under the same id.',
  );
}

/** @param what cannot be done */
function ofWorkflow(record: TaskRecord | undefined, what: string): PopfleetError {
  const step = record?.step === undefined ? undefined : readStep(record.step);
  return new PopfleetError(
    'invalid-state',
    `The task is a step of the workflow ${step?.workflow ?? ''}, and cannot be ${what}.`,
  );
}

function finished(state: string, verb: string): PopfleetError {
  return new PopfleetError('invalid-state', `The task is ${state} and cannot be ${verb}.`);
}
