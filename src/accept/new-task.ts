// Makes a task of a call: finds its definition, checks its input and whether its sender may send it, resolves its options
// and encodes its content.

import { compact } from '../protocol/compact.ts';
import { PopfleetError } from '../protocol/errors.ts';
import { DEFAULT_LANE } from '../protocol/lane.ts';
import { encodeContent } from '../protocol/message.ts';
import { DEFAULT_QUEUE } from '../protocol/names.ts';
import { type Call, type Durability, toMessageOptions } from '../protocol/options.ts';
import { requestDigest } from '../protocol/request-digest.ts';
import type { TaskSchedule } from '../protocol/schedule.ts';
import { newTaskId } from '../protocol/task-id.ts';
import { invalidInput } from '../protocol/validate.ts';
import { type Webhook, WEBHOOK_QUEUE, WEBHOOK_TYPE } from '../protocol/webhook.ts';
import { writeFollower } from '../store/outbox.ts';
import type { NewTask, TaskExtras } from '../store/new-task.ts';
import { type SearchFields, writeTerms } from '../store/terms.ts';
import { writeWebhook } from '../store/webhook-follower.ts';
import type { TaskDefinition } from '../tasks/define.ts';
import { validateInput } from '../tasks/input-schema.ts';
import type { Registry } from '../tasks/registry.ts';
import { ownedKey } from './owned-key.ts';
import { searchFieldsOf } from './search-fields.ts';

/** The sender of tasks. */
export interface Sender {
  /** Id of its API key, if it has one: the idempotency keys of two senders never meet. */
  readonly key: string | undefined;
  /** Queues it may send to; `undefined` = all. */
  readonly queues: ReadonlySet<string> | undefined;
  /** W3C trace context of its request. */
  readonly traceparent: string | undefined;
  /** Takes this many tasks from its quota. @returns `quota-exceeded` when fewer are left, and takes none */
  readonly spend?: (tasks: number) => PopfleetError | undefined;
}

/** Position of a call in the sender's request, which faults point to. JSON Pointers without `#`. */
export interface Position {
  /** Empty for a single call. */
  readonly call: string;
  readonly input: string;
  /** The field or parameter in which the sender may name another queue, for messages. */
  readonly queue: string;
}

export const ALONE: Position = { call: '', input: '/input', queue: '`queue`' };

/** The position of one call of many. @param at JSON Pointer of these, without `#` */
export function positionOf(index: number, at = ''): Position {
  return { call: `${at}/${index}`, input: `${at}/${index}/input`, queue: '`queue`' };
}

/** A task that can be sent. */
export interface Prepared {
  readonly queue: string;
  /** State in which Redis accepts the task. */
  readonly state: 'ready' | 'scheduled';
  readonly task: NewTask;
  /** Where Redis has to have it before its sender is answered, when the call or its type says so. */
  readonly durability?: Durability;
}

/** Default of `keyWindowMs`: how long an idempotency key finds its task, in milliseconds. */
const DEFAULT_KEY_WINDOW_MS = 86_400_000;
const TYPES_NAMED = 20;
const QUEUES_NAMED = 10;

/**
 * Finds the definition for a call and checks the input. The input is stored as the sender gave it; the worker checks it again
 * and transforms it.
 * @throws PopfleetError `unknown-type`, `invalid-input`
 */
export function definitionOf(
  registry: Registry,
  { type, input }: Pick<Call, 'type' | 'input'>,
  position: Position,
): TaskDefinition {
  const definition = knownDefinition(registry, type, position);
  validateInput(definition.input, input, position.input);
  return definition;
}

function knownDefinition(registry: Registry, type: string, position: Position): TaskDefinition {
  const definition = registry.get(type);
  if (!definition) throw unknownType(registry, type, position);
  return definition;
}

export function unknownType(registry: Registry, type: string, { call }: Position): PopfleetError {
  const message =
    type === WEBHOOK_TYPE
      ? `The type "${type}" is reserved for deliveries of webhooks: ask for one with the option "webhook" of a task.`
      : `There is no task type "${type.slice(0, 64)}".`;
  // Only the error of a single call lists the types: ten thousand of a batch would make a very large answer.
  if (call === '') {
    const known = [...registry.keys()].slice(0, TYPES_NAMED).join(', ');
    return new PopfleetError('unknown-type', `${message} Known types: ${known}.`);
  }
  const faults = [{ pointer: `#${call}/type`, detail: 'is no known task type' }];
  return new PopfleetError('unknown-type', message, { faults });
}

/** A task that is a step of a workflow. */
export interface StepOfWorkflow {
  /** What its message says of it. */
  readonly workflow: { readonly id: string; readonly step: string };
  /** Its input refers to what other steps bring: the worker checks it. */
  readonly isLater: boolean;
}

const NO_FIELDS: SearchFields = new Map();

/** A call whose type and input were checked, and those of what follows its task. */
export interface CheckedCall {
  readonly call: Call;
  readonly definition: TaskDefinition;
  readonly position: Position;
  /** By which its task is found. */
  readonly fields: SearchFields;
  readonly onEnd: CheckedCall | undefined;
  readonly step?: StepOfWorkflow | undefined;
}

/**
 * Checks type and input of a call that was validated.
 * @throws PopfleetError `unknown-type`, `invalid-input`
 */
export function checkCall(
  registry: Registry,
  call: Call,
  position: Position,
  step?: StepOfWorkflow,
): CheckedCall {
  const definition = step?.isLater
    ? knownDefinition(registry, call.type, position)
    : definitionOf(registry, call, position);
  const fields = step?.isLater ? NO_FIELDS : searchFieldsOf(definition, call.input, position.input);
  const { onEnd } = call;
  if (!onEnd) return { call, definition, position, fields, onEnd: undefined, step };
  const at = `${position.call}/onEnd`;
  const follower = compact<Call>({ ...onEnd, input: onEnd.input === undefined ? {} : onEnd.input });
  const below: Position = { call: at, input: `${at}/input`, queue: '`onEnd.queue`' };
  return { call, definition, position, fields, onEnd: checkCall(registry, follower, below), step };
}

/**
 * Makes a task of a call. The definition gives the options that the call leaves open. The worker reads run options from the
 * definition itself, so only those of the call are in the message.
 * @throws PopfleetError `forbidden` when the sender may not send to its queue, or to that of what follows it; `invalid-input` when
 *   nobody may
 */
export function prepareTask(checked: CheckedCall, sender: Sender): Prepared {
  const { call, definition, position, onEnd, step } = checked;
  const { defaults = {} } = definition;
  const queue = call.queue ?? defaults.queue ?? DEFAULT_QUEUE;
  demandQueue(sender, queue, position);
  const { key, traceparent } = sender;
  const own = step ? { ...toMessageOptions(call), workflow: step.workflow } : toMessageOptions(call);
  const options = traceparent === undefined ? own : { ...own, traceparent };
  const extras = toExtras(checked, key);
  const webhook = call.webhook ?? defaults.webhook;
  const follower = followersOf(onEnd && prepareTask(onEnd, sender), webhook);
  const task = {
    id: newTaskId(),
    content: encodeContent(call.type, call.input, options),
    lane: call.priority ?? defaults.priority ?? DEFAULT_LANE,
    extras: follower === undefined ? extras : { ...extras, follower },
  };
  const state = firstState(call);
  const durability = call.durability ?? defaults.durability;
  return durability === undefined ? { queue, state, task } : { queue, state, task, durability };
}

/** As `TaskExtras.follower`; most tasks have none. */
function followersOf(onEnd: Prepared | undefined, webhook: Webhook | undefined): string | undefined {
  if (!webhook) return onEnd && toFollower(onEnd);
  return onEnd ? `${toFollower(onEnd)} ${writeWebhook(webhook)}` : writeWebhook(webhook);
}

function toFollower({ queue, task: { lane, content, extras } }: Prepared): string {
  return writeFollower({ queue, lane, content, extras });
}

/** Options of a schedule that its definition may give, beside the queue, and what its tasks are found by. */
type DecidedOfSchedule = Pick<TaskSchedule, 'priority' | 'ttlMs' | 'resultTtlMs' | 'webhook' | 'terms'>;

/**
 * A schedule with its queue, and with the options that its definition gives.
 * @throws PopfleetError `forbidden` when the sender may not send to its queue
 */
export function prepareSchedule(
  schedule: TaskSchedule,
  definition: TaskDefinition,
  sender: Pick<Sender, 'queues'>,
): TaskSchedule & { readonly queue: string } {
  const { defaults = {} } = definition;
  const { priority, ttlMs, resultTtlMs, webhook } = defaults;
  const fields = searchFieldsOf(definition, schedule.input, ALONE.input);
  const terms = writeTerms(schedule.tags ?? defaults.tags, fields);
  const queue = schedule.queue ?? defaults.queue ?? DEFAULT_QUEUE;
  demandQueue(sender, queue, ALONE);
  // `queue` is the schedule's own when it has one.
  const own = compact<TaskSchedule>(schedule) as Omit<TaskSchedule, 'queue'>;
  return { queue, ...compact<DecidedOfSchedule>({ priority, ttlMs, resultTtlMs, webhook, terms }), ...own };
}

/** @throws PopfleetError `forbidden` when the sender may not send to a queue, `invalid-input` when nobody may */
export function demandQueue({ queues }: Pick<Sender, 'queues'>, queue: string, position: Position): void {
  if (queue === WEBHOOK_QUEUE) {
    const detail = 'is reserved for deliveries of webhooks: name another queue';
    throw invalidInput([{ pointer: `#${position.call}/queue`, detail }]);
  }
  if (queues === undefined || queues.has(queue)) return;
  const message = 'This key is not for the queue that the task would go to.';
  if (position.call !== '') {
    const faults = [{ pointer: `#${position.call}/queue`, detail: 'is not for this key' }];
    throw new PopfleetError('forbidden', message, { faults });
  }
  // The queue may come from the definition, and be hidden from the sender: the message names only the sender's queues.
  const own = [...queues].slice(0, QUEUES_NAMED).join(', ');
  throw new PopfleetError('forbidden', `${message} Name one of its own with ${position.queue}: ${own}.`);
}

function toExtras(
  { call, definition: { defaults = {} }, fields }: CheckedCall,
  owner: string | undefined,
): TaskExtras | undefined {
  const { delayMs, runAt, expiresAt } = call;
  const ttlMs = expiresAt === undefined ? (call.ttlMs ?? defaults.ttlMs) : undefined;
  // The worker has it from the message or the definition, but a task may also end without a worker.
  const resultTtlMs = call.resultTtlMs ?? defaults.resultTtlMs;
  const terms = writeTerms(call.tags ?? defaults.tags, fields);
  if (
    call.key === undefined &&
    delayMs === undefined &&
    runAt === undefined &&
    expiresAt === undefined &&
    ttlMs === undefined &&
    resultTtlMs === undefined &&
    terms === undefined
  ) {
    return undefined;
  }
  const others = { delayMs, runAt, ttlMs, expiresAt, resultTtlMs, terms };
  if (call.key === undefined) return others;
  // The same task may be asked for again with another level.
  const { key, keyWindowMs, durability: _durability, ...request } = call;
  const windowMs = keyWindowMs ?? defaults.keyWindowMs ?? DEFAULT_KEY_WINDOW_MS;
  return { ...others, key: { key: ownedKey(owner, key), windowMs, digest: requestDigest(request) } };
}

function firstState({ delayMs, runAt }: Call): Prepared['state'] {
  const isLater = (delayMs !== undefined && delayMs > 0) || (runAt !== undefined && runAt > Date.now());
  return isLater ? 'scheduled' : 'ready';
}
