// From a call to a task: which options hold, and the message they travel in.

import { DEFAULT_LANE, type Lane } from '../protocol/lane.ts';
import { encodeContent } from '../protocol/message.ts';
import { DEFAULT_QUEUE } from '../protocol/names.ts';
import { type Call, toMessageOptions } from '../protocol/options.ts';
import { requestPrint } from '../protocol/request-print.ts';
import { newTaskId } from '../protocol/task-id.ts';
import type { NewTask, TaskExtras } from '../store/producer.ts';
import type { TaskDefinition } from '../tasks/define.ts';

export interface Prepared {
  readonly id: string;
  readonly queue: string;
  readonly lane: Lane;
  readonly task: NewTask;
}

/** How long an idempotency key finds its task unless the call or the definition says otherwise. */
const DEFAULT_KEY_WINDOW_MS = 86_400_000;

/**
 * Makes a task of a call that was validated. What the call leaves open, the definition decides; the worker looks there
 * for what it acts on itself, so only the call's own options travel in the message.
 * @param traceparent W3C trace context of the request
 * @param owner whose idempotency keys these are: those of two owners never meet
 */
export function prepareTask(
  call: Call,
  definition: TaskDefinition,
  traceparent: string | undefined,
  owner?: string,
): Prepared {
  const defaults = definition.defaults ?? {};
  const id = newTaskId();
  const queue = call.queue ?? defaults.queue ?? DEFAULT_QUEUE;
  const lane = call.priority ?? defaults.priority ?? DEFAULT_LANE;
  const own = toMessageOptions(call);
  const options = traceparent === undefined ? own : { ...own, traceparent };
  const content = encodeContent(call.type, call.input, options);
  return { id, queue, lane, task: { id, content, lane, extras: toExtras(call, definition, owner) } };
}

function toExtras(
  call: Call,
  { defaults = {} }: TaskDefinition,
  owner: string | undefined,
): TaskExtras | undefined {
  const { delayMs, runAt, expiresAt } = call;
  const ttlMs = expiresAt === undefined ? (call.ttlMs ?? defaults.ttlMs) : undefined;
  // The worker finds it in the message or in the definition; but a task may end without one.
  const resultTtlMs = call.resultTtlMs ?? defaults.resultTtlMs;
  if (
    call.key === undefined &&
    delayMs === undefined &&
    runAt === undefined &&
    expiresAt === undefined &&
    ttlMs === undefined &&
    resultTtlMs === undefined
  ) {
    return undefined;
  }
  const times = { delayMs, runAt, ttlMs, expiresAt, resultTtlMs };
  if (call.key === undefined) return times;
  const { key, keyWindowMs, ...request } = call;
  const windowMs = keyWindowMs ?? defaults.keyWindowMs ?? DEFAULT_KEY_WINDOW_MS;
  const name = owner === undefined ? key : `${owner}:${key}`;
  return { ...times, key: { key: name, windowMs, print: requestPrint(request) } };
}

/** The state in which Redis accepts it. */
export function firstState({ delayMs, runAt }: Call): 'ready' | 'scheduled' {
  const isLater = (delayMs !== undefined && delayMs > 0) || (runAt !== undefined && runAt > Date.now());
  return isLater ? 'scheduled' : 'ready';
}
