// What a receiver is told about the end of a task, and the content of the task that delivers it. It is written once, when the end
// is relayed: each attempt sends the same bytes, whatever becomes of the task.

import { compact } from '../protocol/compact.ts';
import { toJsonText } from '../protocol/json-text.ts';
import { type Cause, decodeContent, encodeContent, type TaskContent } from '../protocol/message.ts';
import { toTime } from '../protocol/time-text.ts';
import {
  type Delivery,
  readDelivery,
  readTarget,
  WEBHOOK_QUEUE,
  WEBHOOK_TYPE,
  type WebhookKind,
} from '../protocol/webhook.ts';
import type { Follower, OutboxEntry } from '../store/outbox.ts';
import type { TaskRecord } from '../store/record.ts';
import type { Endpoint } from '../store/webhook-endpoints.ts';
import { taskPath, toTaskView } from '../views/task-view.ts';

/** Attempts of a delivery: at once, and after each of the delays in deliver.ts. */
export const DELIVERY_ATTEMPTS = 10;

/** Input and result stand in the body up to so many bytes of JSON each; beyond it a link stands there. */
const MOST_INLINE_BYTES = 8_192;

/** Whether a follower is a webhook. @param content as it was read of the follower */
export function isWebhook({ queue }: Pick<Follower, 'queue'>, { type }: Pick<TaskContent, 'type'>): boolean {
  return queue === WEBHOOK_QUEUE && type === WEBHOOK_TYPE;
}

/** Whether a webhook is about a task that ends in this state. @param input of the follower */
export function isAbout(input: unknown, state: string): boolean {
  const states = readTarget(input)?.states;
  return states === undefined || states.includes(state);
}

/**
 * The content of a delivery.
 * @param input of the follower
 * @param record of the task that has ended; `undefined` when its row cannot be read
 */
export function deliveryContent(input: unknown, entry: OutboxEntry, record: TaskRecord | undefined): Buffer {
  const { endpoint, url } = readTarget(input) ?? {};
  const { id, state, place } = entry;
  const event = `task.${state}`;
  const delivery = compact<Delivery>({
    endpoint,
    url,
    task: id,
    queue: place.queue,
    event,
    body: toJsonText({ type: event, timestamp: toTime(entry.endedAt), data: dataOf(entry, record) }),
  });
  const cause: Cause = { id, state };
  return encodeContent(WEBHOOK_TYPE, delivery, { maxAttempts: DELIVERY_ATTEMPTS, cause });
}

/**
 * The content of a delivery about the end of a workflow or a batch.
 * @param record as the API shows it, without steps and members; `undefined` when it cannot be read
 */
export function recordDeliveryContent(
  input: unknown,
  entry: OutboxEntry,
  record: object | undefined,
): Buffer {
  const { endpoint, url, kind = 'workflow' } = readTarget(input) ?? {};
  const { id, state, place, endedAt } = entry;
  const event = `${kind}.${state}`;
  const timestamp = toTime(endedAt);
  // It may have been retried meanwhile.
  const data = { ...record, id, state, queue: place.queue, endedAt: timestamp };
  const delivery = compact<Delivery>({
    endpoint,
    url,
    [kind]: id,
    queue: place.queue,
    event,
    body: toJsonText({ type: event, timestamp, data }),
  });
  return encodeContent(WEBHOOK_TYPE, delivery, { maxAttempts: DELIVERY_ATTEMPTS, cause: { id, state } });
}

/** What a webhook is about. @param input of the follower */
export function kindOf(input: unknown): WebhookKind {
  return readTarget(input)?.kind ?? 'task';
}

/**
 * The content of a delivery that is about nothing. It has one attempt: whether the receiver takes it shows at once.
 * @param queues whoever may see the first of them may see it, or else the queue of deliveries
 */
export function testContent({ id, queues }: Pick<Endpoint, 'id' | 'queues'>): Buffer {
  const event = 'webhook.test';
  const delivery: Delivery = {
    endpoint: id,
    queue: queues?.[0] ?? WEBHOOK_QUEUE,
    event,
    body: toJsonText({ type: event, timestamp: toTime(Date.now()), data: { endpoint: id } }),
  };
  return encodeContent(WEBHOOK_TYPE, delivery, { maxAttempts: 1 });
}

const NO_TYPES = new Map<string, never>();

/** The task as the API shows it, as it has ended: it may run again by now. Without its options and its earlier attempts. */
function dataOf(
  { id, state, place, endedAt, result, error }: OutboxEntry,
  record: TaskRecord | undefined,
): object {
  if (!record) return { id, state, queue: place.queue, finishedAt: toTime(endedAt) };
  const ended = { ...record, state: state as TaskRecord['state'], finishedAt: endedAt, result, error };
  const { options: _, errors: __, webhooks: ___, ...view } = toTaskView(ended, [], NO_TYPES);
  const links: Record<string, string> = { ...view.links };
  const data: Record<string, unknown> = { ...view, links };
  for (const name of ['input', 'result']) {
    if (Buffer.byteLength(toJsonText(data[name] ?? null)) <= MOST_INLINE_BYTES) continue;
    delete data[name];
    links[name] = taskPath(id, '');
  }
  return data;
}

/**
 * The content of a delivery that is sent again: the same message under the same `webhook-id`, with all its attempts.
 * @returns `undefined` when the task is no delivery of this endpoint
 */
export function contentSentAgain({ id, content }: TaskRecord, endpoint: string): Buffer | undefined {
  try {
    const { input, options } = decodeContent(content);
    const delivery = readDelivery(input);
    if (delivery?.endpoint !== endpoint) return undefined;
    return encodeContent(WEBHOOK_TYPE, { ...delivery, message: delivery.message ?? id }, options);
  } catch {
    return undefined;
  }
}

/** The queue of the task that a delivery is about: whoever may see that queue may see the delivery. */
export function queueOfDelivery(content: Buffer): string | undefined {
  try {
    return readDelivery(decodeContent(content).input)?.queue;
  } catch {
    return undefined;
  }
}
