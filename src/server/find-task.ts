// Finds the task of a path, if it is visible to the caller.

import type { Context } from 'hono';
import { PopfleetError } from '../protocol/errors.ts';
import { readTaskId } from '../protocol/task-id.ts';
import { WEBHOOK_QUEUE } from '../protocol/webhook.ts';
import type { Inspector } from '../store/inspector.ts';
import type { TaskRecord } from '../store/record.ts';
import { queueOfDelivery } from '../webhooks/delivery.ts';
import type { AppEnv } from './app-env.ts';
import { type Caller, knows } from './caller.ts';

/**
 * @param given an id, in any case
 * @param isAwaited as in `Inspector.task`
 * @returns `undefined` when there is none, or its queue is not visible to the caller
 */
export async function findTask(
  c: Context<AppEnv>,
  inspector: Inspector,
  given: string,
  isAwaited = false,
): Promise<TaskRecord | undefined> {
  const id = readTaskId(given);
  const caller = c.get('caller');
  const within = caller.queues && new Set(caller.queues).add(WEBHOOK_QUEUE);
  const record = id === undefined ? undefined : await inspector.task(id, within, isAwaited);
  return record && isVisible(caller, record) ? record : undefined;
}

/** Whoever may see a task may see the deliveries that are about it. */
function isVisible(caller: Caller, { queue, content }: TaskRecord): boolean {
  if (queue !== WEBHOOK_QUEUE || caller.queues === undefined) return knows(caller, queue);
  const about = queueOfDelivery(content);
  return about !== undefined && knows(caller, about);
}

export function noTask(): PopfleetError {
  return new PopfleetError(
    'not-found',
    'There is no such task. Finished tasks are kept for a limited time only.',
  );
}

export function noOperation(): PopfleetError {
  return new PopfleetError(
    'not-found',
    'There is no such operation. The latest of each queue are kept: GET /v1/operations lists them.',
  );
}
