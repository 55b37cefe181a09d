// Operations: what is done to many tasks of a queue, seen before, in slices, and shown while it goes on.

import type { Context } from 'hono';
import * as v from 'valibot';
import { compact } from '../../protocol/compact.ts';
import { PopfleetError } from '../../protocol/errors.ts';
import { homeOf } from '../../store/keys.ts';
import { QUEUE_NAME } from '../../protocol/names.ts';
import { WEBHOOK_QUEUE } from '../../protocol/webhook.ts';
import { readTaskId } from '../../protocol/task-id.ts';
import { invalidInput, noList, validate } from '../../protocol/validate.ts';
import {
  MOST_OPEN,
  type OperationRecord,
  type OperationRequest,
  STATES_OF_ACTION,
} from '../../store/operations.ts';
import {
  MatchSchema,
  type OperationCall,
  OperationCallSchema,
  OperationRequestSchema,
  OperationSchema,
  type OperationView,
  toOperationView,
} from '../../views/operation-view.ts';
import { secondsFor } from '../../upkeep/operate-places.ts';
import { answer } from '../answer.ts';
import type { AppEnv } from '../app-env.ts';
import { noteForAudit, noteNoChange } from '../audited.ts';
import { readBody } from '../body.ts';
import { visibleQueues } from '../caller.ts';
import { type Confirmed, idOfConfirmed, isConfirmed, issueConfirm } from '../confirm.ts';
import type { Deps } from '../deps.ts';
import { noOperation } from '../find-task.ts';
import { type Operation, readQuery, type Route, route } from '../operation.ts';

const listEntries = {
  queue: v.optional(
    v.pipe(
      v.string(),
      v.regex(QUEUE_NAME, `must match ${QUEUE_NAME.source}`),
      v.description('Those of this queue alone.'),
    ),
  ),
};

const CallSchema = noList(OperationCallSchema);

/** `POST` and `GET /v1/operations`, `GET /v1/operations/{id}` and `POST …/cancel`. */
export function operationRoutes(
  deps: Pick<Deps, 'operations' | 'operateSoon' | 'inspector' | 'sessions' | 'bodyLimitBytes'>,
): readonly Route[] {
  const { operations, inspector, sessions } = deps;
  const queuesOf = (c: Context<AppEnv>): Promise<readonly string[]> =>
    visibleQueues(inspector, c.get('caller'));

  async function find(c: Context<AppEnv>): Promise<OperationRecord> {
    const id = readTaskId(c.req.param('operation') ?? '');
    const found = id === undefined ? undefined : await operations.find(id, await queuesOf(c));
    if (found) return found;
    throw noOperation();
  }

  async function view(c: Context<AppEnv>, record: OperationRecord): Promise<OperationView> {
    const now = Date.now();
    return toOperationView(record, now, issueConfirm(whatOf(c, record), now, await sessions.secret()));
  }

  async function dryRun(c: Context<AppEnv>, request: OperationRequest): Promise<Response> {
    const { matched, isAll, perState, sample } = await operations.match(request);
    noteNoChange(c);
    return answer(c, 200, {
      matched: { value: matched, relation: isAll ? 'eq' : 'gte' },
      sample,
      perState: Object.fromEntries(perState),
      estimateSeconds: secondsFor(matched),
      confirm: issueConfirm(whatOf(c, request), Date.now(), await sessions.secret()),
    });
  }

  async function open(
    c: Context<AppEnv>,
    request: OperationRequest,
    confirm: string | undefined,
  ): Promise<Response> {
    const { filter } = request;
    const what = whatOf(c, request);
    if (confirm === undefined || !(await isConfirmed(confirm, what, Date.now(), sessions.secret)))
      throw confirmNeeded(confirm);
    const id = idOfConfirmed(confirm, request);
    const word = await operations.open(id, request, what.by);
    if (word === 'full') throw tooManyOpen();
    deps.operateSoon(homeOf(filter.queue));
    noteForAudit(c, factsOf(request));
    const record = await operations.find(id, [filter.queue]);
    if (!record)
      throw new PopfleetError('internal', 'The operation is gone already. Is Redis being emptied?');
    return answer(c, 202, await view(c, record), { Location: `${c.get('basePath')}/v1/operations/${id}` });
  }

  return [
    route('POST', '/v1/operations', POST, async (c) => {
      const call = validate(CallSchema, await readBody(c, deps.bodyLimitBytes));
      const { dryRun: isDry = false, confirm, ...request } = call;
      demandStates(request);
      demandQueues(request, await queuesOf(c));
      return isDry ? dryRun(c, request) : open(c, request, confirm);
    }),
    route('GET', '/v1/operations', LIST, async (c) => {
      const { queue } = readQuery(c, listEntries);
      const queues = await queuesOf(c);
      const records = await operations.list(queues.filter((name) => queue === undefined || name === queue));
      return answer(c, 200, { items: await Promise.all(records.map((record) => view(c, record))) });
    }),
    route('GET', '/v1/operations/:operation', GET_ONE, async (c) =>
      answer(c, 200, await view(c, await find(c))),
    ),
    route('POST', '/v1/operations/:operation/cancel', CANCEL, async (c) => {
      const { id, filter } = await find(c);
      const word = await operations.cancel(filter.queue, id);
      if (word !== 'cancelled') {
        throw new PopfleetError('invalid-state', `The operation is ${word} and cannot be cancelled.`);
      }
      noteForAudit(c, { queue: filter.queue });
      // The next one that waits may begin.
      deps.operateSoon(homeOf(filter.queue));
      return answer(c, 200, await view(c, await find(c)));
    }),
  ];
}

/** Of many ids the number: the operation has them. */
function factsOf({ action, filter, to, reason, first }: OperationRequest): Readonly<Record<string, unknown>> {
  const { queue, ids, ...conditions } = filter;
  return compact({ queue, action, filter: compact({ ...conditions, ids: ids?.length }), to, reason, first });
}

/** What a caller confirms. */
function whatOf(c: Context<AppEnv>, { action, filter, to }: OperationRequest): Confirmed {
  return { action, filter, to, by: c.get('caller').key };
}

/** @throws PopfleetError `invalid-input` when there is no such queue for this caller, or it is reserved */
function demandQueues({ action, filter, to }: OperationRequest, visible: readonly string[]): void {
  const isReserved = filter.queue === WEBHOOK_QUEUE && (action === 'delete' || action === 'move');
  const reserved = 'is reserved for deliveries of webhooks: these can be retried and cancelled';
  if (isReserved) throw invalidInput([{ pointer: '#/filter/queue', detail: reserved }]);
  if (to === WEBHOOK_QUEUE) throw invalidInput([{ pointer: '#/to', detail: reserved }]);
  const detail = 'is no queue: GET /v1/queues lists them';
  if (!visible.includes(filter.queue)) throw invalidInput([{ pointer: '#/filter/queue', detail }]);
  if (to !== undefined && !visible.includes(to)) throw invalidInput([{ pointer: '#/to', detail }]);
}

/** @throws PopfleetError `invalid-input` when no task of the state could be acted on */
function demandStates({ action, filter: { state } }: Pick<OperationCall, 'action' | 'filter'>): void {
  const states: readonly string[] = STATES_OF_ACTION[action];
  if (state === undefined || (states.includes(state) && !(action === 'delete' && state === 'running')))
    return;
  const hint = action === 'delete' ? ': cancel them first' : `: this is for ${states.join(', ')}`;
  throw invalidInput([{ pointer: '#/filter/state', detail: `cannot be ${state} with ${action}${hint}` }]);
}

function tooManyOpen(): PopfleetError {
  return new PopfleetError(
    'overloaded',
    `${MOST_OPEN} operations of this queue wait already. Cancel some, or come back once they are done.`,
    { retryAfterSeconds: 5 },
  );
}

function confirmNeeded(given: string | undefined): PopfleetError {
  const fault =
    given === undefined
      ? 'This may change many tasks.'
      : 'This confirm is older than five minutes, or was given for another action, filter or caller.';
  return new PopfleetError(
    'confirm-needed',
    `${fault} Send the same body with "dryRun": true first, and then again with the \`confirm\` of its answer instead.`,
  );
}

const ONE = { description: 'The operation as it is now.', schema: OperationSchema } as const;

const POST: Operation = {
  id: 'startOperation',
  tag: 'operations',
  summary: 'Retry, cancel, delete or move many tasks',
  description:
    'With `dryRun` it says how many tasks match, and gives `confirm`, without which nothing is done. Tasks that are accepted, or end, after it was confirmed are not touched. Operations of a queue run one after the other, in short slices.',
  scope: 'admin',
  body: { 'application/json': OperationRequestSchema, 'application/cbor': OperationRequestSchema },
  answers: {
    200: { description: 'Of a dry run.', schema: MatchSchema },
    202: { ...ONE, description: 'It waits or runs. `Location` is where it is shown.' },
  },
  problems: [
    'malformed-body',
    'too-large',
    'unsupported-media-type',
    'invalid-input',
    'confirm-needed',
    'overloaded',
  ],
};
const LIST: Operation = {
  id: 'listOperations',
  tag: 'operations',
  summary: 'Operations, those of one queue or of all',
  scope: 'admin',
  query: listEntries,
  answers: {
    200: {
      description: 'Newest first: those that wait or run, and the latest hundred that are over.',
      schema: v.object({ items: v.array(OperationSchema) }),
    },
  },
  problems: ['invalid-query'],
};
const GET_ONE: Operation = {
  id: 'getOperation',
  tag: 'operations',
  summary: 'One operation',
  scope: 'admin',
  answers: { 200: ONE },
  problems: ['not-found'],
};
const CANCEL: Operation = {
  id: 'cancelOperation',
  tag: 'operations',
  summary: 'End an operation before its time',
  description: 'It ends after the slice that is under way. What it has done stays done.',
  scope: 'admin',
  answers: { 200: ONE },
  problems: ['not-found', 'invalid-state'],
};
