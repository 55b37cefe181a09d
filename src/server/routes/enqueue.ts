// Accepting one task: `POST /v1/tasks` and the short routes `POST /{type}`.

import type { Context } from 'hono';
import * as v from 'valibot';
import { keyReused, ofTask } from '../../accept/idempotency.ts';
import { ALONE, type Position, unknownType } from '../../accept/new-task.ts';
import { PopfleetError } from '../../protocol/errors.ts';
import { QUEUE_NAME } from '../../protocol/names.ts';
import { type Call, demandCall } from '../../protocol/options.ts';
import { isTerminal } from '../../protocol/task-state.ts';
import { readTaskView, type TaskView } from '../../views/task-view.ts';
import { answer, respond } from '../answer.ts';
import type { AppEnv } from '../app-env.ts';
import type { Deps } from '../deps.ts';
import { readBody } from '../body.ts';
import { CALL_BODIES, ENQUEUE_PROBLEMS } from '../call-schema.ts';
import { keyOfHeader, sameKey } from '../idempotency-key.ts';
import { booleanEntry, type OperationAnswer, readQuery, type Route, route } from '../operation.ts';
import { appliedPreferences, type Preferences, preferencesOf, waitEntry } from '../prefer.ts';
import { type Accepted, CheckedSchema, DURABILITY_HEADER, ReceiptSchema, toAccepted } from '../receipt.ts';
import { senderOf } from '../sender.ts';

type EnqueueDeps = Pick<Deps, 'registry' | 'accept' | 'inspector' | 'waiters' | 'bodyLimitBytes' | 'quota'>;

const waitQuery = { wait: waitEntry };
const queryEntries = { ...waitQuery, dryRun: booleanEntry('Only checks.') };
const shortQuery = {
  ...waitQuery,
  queue: v.optional(
    v.pipe(
      v.string(),
      v.regex(QUEUE_NAME, `must match ${QUEUE_NAME.source}`),
      v.description('Where the task waits; else in the queue of its type. The body is the input alone.'),
    ),
  ),
};
const shortEntries = { ...queryEntries, ...shortQuery };

/** Position of the input in the body of a short route, which is the input alone. */
const SHORT: Position = { call: '', input: '', queue: '`?queue=`' };

/** Query parameters of both routes. */
const SENDING = {
  tag: 'tasks',
  scope: 'enqueue',
  // Without `dryRun`: its answer has no id, and a client would have to distinguish two kinds of answers.
  query: waitQuery,
  headers: {
    'Idempotency-Key':
      'The same key finds the task that was made with it, as `key` in the body of `POST /v1/tasks`.',
    Prefer:
      '`wait=<seconds>`: answered when the task is finished, or after that time; `return=minimal`: without body.',
    traceparent: 'W3C trace context; the handler gets it.',
  },
  answers: {
    202: {
      description: 'Redis has the task. `Location` is where it can be asked for.',
      schema: ReceiptSchema,
    },
    200: {
      description:
        'The idempotency key found this task (`Idempotent-Replayed: true`); or the task is finished and was waited for, and the receipt is the whole task. `Popfleet-Durability` has the level that was reached, when one was asked for.',
      schema: ReceiptSchema,
    },
  } satisfies Record<number, OperationAnswer>,
  problems: ENQUEUE_PROBLEMS,
} as const;

/** `POST /v1/tasks` with `{type, input}` and the options of a call. */
export function enqueueRoutes(deps: EnqueueDeps): readonly Route[] {
  return [
    route(
      'POST',
      '/v1/tasks',
      {
        id: 'sendTask',
        summary: 'Send a task',
        description:
          'Answers as soon as Redis has it. What a worker will check again is checked here. With `?dryRun=true` it does the same as `POST /v1/tasks/check`.',
        body: CALL_BODIES,
        ...SENDING,
      },
      async (c) => {
        const preferences = sendPreferencesOf(c);
        const call = demandCall(await readBody(c, deps.bodyLimitBytes));
        return send(c, deps, call, preferences);
      },
    ),
    route(
      'POST',
      '/v1/tasks/check',
      {
        id: 'checkTask',
        tag: 'tasks',
        summary: 'Check a task without sending it',
        description:
          'Refuses what `POST /v1/tasks` refuses, but for the idempotency key, and writes nothing. It counts for the quota.',
        scope: 'enqueue',
        query: {},
        body: CALL_BODIES,
        answers: { 200: { description: 'It would be accepted.', schema: CheckedSchema } },
        problems: ENQUEUE_PROBLEMS,
      },
      async (c) => {
        readQuery(c, {});
        const call = demandCall(await readBody(c, deps.bodyLimitBytes));
        return send(c, deps, call, { ...NO_PREFERENCES, dryRun: true });
      },
    ),
  ];
}

/** `POST /{type}`, whose body is the input. Added last: its path is one segment of any name. */
export function shortRoutes(deps: EnqueueDeps): readonly Route[] {
  return [
    route(
      'POST',
      '/:type',
      {
        id: 'sendTaskByPath',
        summary: 'Send a task whose type is the path; the body is its input',
        body: { 'application/json': {}, 'application/cbor': {} },
        ...SENDING,
        query: shortQuery,
      },
      async (c) => {
        const type = c.req.param('type') ?? '';
        if (!deps.registry.has(type)) throw unknownType(deps.registry, type, SHORT);
        const preferences = sendPreferencesOf(c, shortEntries);
        const input = await readBody(c, deps.bodyLimitBytes);
        const call =
          preferences.queue === undefined ? { type, input } : { type, input, queue: preferences.queue };
        return send(c, deps, call, preferences, SHORT, 'task sent');
      },
    ),
  ];
}

/** Options of a request beside its task. */
interface SendPreferences extends Preferences {
  /** Idempotency key in the header. */
  readonly key: string | undefined;
  readonly dryRun: boolean;
  /** Queue in the query of a short route. */
  readonly queue?: string | undefined;
}
const NO_PREFERENCES: SendPreferences = { key: undefined, dryRun: false, waitSeconds: 0, minimal: false };

type SendQuery = v.InferOutput<v.ObjectSchema<typeof shortEntries, undefined>>;

/** Returns `NO_PREFERENCES` for nearly every request, without parsing anything. */
function sendPreferencesOf(
  c: Context<AppEnv>,
  entries: typeof queryEntries | typeof shortEntries = queryEntries,
): SendPreferences {
  const hasQuery = c.req.url.includes('?');
  const key = keyOfHeader(c);
  if (!hasQuery && key === undefined && c.req.header('prefer') === undefined) return NO_PREFERENCES;
  const { wait, dryRun, queue }: SendQuery = hasQuery ? readQuery(c, entries) : {};
  return { key, dryRun: dryRun === 'true', queue, ...preferencesOf(c, wait) };
}

async function send(
  c: Context<AppEnv>,
  deps: EnqueueDeps,
  given: Call,
  preferences: SendPreferences,
  position = ALONE,
  message?: string,
): Promise<Response> {
  const { accept } = deps;
  const key = sameKey(preferences.key, given.key);
  const call = key === given.key ? given : { ...given, key };
  const sender = senderOf(c, deps.quota);
  const prepared = accept.prepare(call, sender, position);
  const room = accept.admit(prepared, sender);
  if (room) await room;
  const headers = c.get('rateLimit');
  if (preferences.dryRun) {
    const { queue, task } = prepared;
    return answer(c, 200, { valid: true, type: call.type, queue, priority: task.lane }, headers);
  }
  const verdict = await accept.send(prepared);
  if (verdict?.word === 'conflict') {
    throw keyReused(ofTask(verdict.id), given.key === undefined ? undefined : '#/key');
  }
  const accepted = toAccepted(call.type, prepared, verdict, c.get('basePath'));
  const receipt = message === undefined ? accepted : { message, ...accepted };
  if (preferences === NO_PREFERENCES) return answerAccepted(c, receipt, headers);
  return answerAsPreferred(c, deps, receipt, preferences, headers);
}

function answerAccepted(
  c: Context<AppEnv>,
  accepted: Accepted,
  headers?: Readonly<Record<string, string>>,
): Response {
  return answer(c, accepted.replayed ? 200 : 202, accepted, acceptedHeaders(accepted, headers));
}

function acceptedHeaders(
  { links, replayed, durability }: Accepted,
  more?: Readonly<Record<string, string>>,
): Record<string, string> {
  const headers: Record<string, string> = { Location: links.self, ...more };
  if (replayed) headers['Idempotent-Replayed'] = 'true';
  if (durability !== undefined) headers[DURABILITY_HEADER] = durability;
  return headers;
}

async function answerAsPreferred(
  c: Context<AppEnv>,
  deps: EnqueueDeps,
  accepted: Accepted,
  preferences: SendPreferences,
  more: Readonly<Record<string, string>> = {},
): Promise<Response> {
  const { waitSeconds, minimal } = preferences;
  const waited = waitSeconds > 0 ? await waitForEnd(c, deps, accepted, waitSeconds) : NOT_WAITED;
  const applied = { waitSeconds: waited.hasWaited ? waitSeconds : 0, minimal: minimal && !waited.finished };
  const headers = { ...more, ...appliedPreferences(applied) };
  // A caller that waits for a task wants its result: the answer has the whole task.
  if (waited.finished) return answer(c, 200, waited.finished, acceptedHeaders(accepted, headers));
  if (!minimal) return answerAccepted(c, accepted, headers);
  return respond(c, accepted.replayed ? 200 : 202, null, acceptedHeaders(accepted, headers));
}

interface Waited {
  /** False when waiting was not possible. */
  readonly hasWaited: boolean;
  /** The task, when it is finished. */
  readonly finished?: TaskView;
}
const NOT_WAITED: Waited = { hasWaited: false };

/**
 * Waits for the end of a task that this caller has just sent. An error here does not fail the request: Redis has the task,
 * and the answer must have its id.
 */
async function waitForEnd(
  c: Context<AppEnv>,
  { waiters, inspector, registry }: EnqueueDeps,
  task: { readonly id: string; readonly queue: string },
  seconds: number,
): Promise<Waited> {
  try {
    const record = await waiters.wait(task, seconds * 1_000, c.req.raw.signal, c.get('caller').key);
    if (!record || !isTerminal(record.state)) return { hasWaited: true };
    return { hasWaited: true, finished: await readTaskView(record, inspector, registry, c.get('basePath')) };
  } catch (error) {
    if (!(error instanceof PopfleetError)) throw error;
    return NOT_WAITED;
  }
}
