// Webhooks as followers: what stands behind a task until it ends.

import { compact } from '../protocol/compact.ts';
import { DEFAULT_LANE } from '../protocol/lane.ts';
import { encodeContent } from '../protocol/message.ts';
import { WEBHOOK_QUEUE, WEBHOOK_TYPE, type WebhookTarget } from '../protocol/webhook.ts';
import { writeFollower } from './outbox.ts';

/** A webhook as the column `followers` keeps it: it becomes a delivery when the task ends (webhooks/delivery.ts). */
export function writeWebhook(target: WebhookTarget): string {
  const content = encodeContent(WEBHOOK_TYPE, compact<WebhookTarget>({ ...target }));
  return writeFollower({ queue: WEBHOOK_QUEUE, lane: DEFAULT_LANE, content });
}
