// Checks the limits for tasks: whether their queues may be made, and whether queue and Redis have room.

import { PopfleetError } from '../protocol/errors.ts';
import type { Capacity } from '../store/capacity.ts';
import type { QueueNames } from '../store/queue-names.ts';
import type { Prepared } from './new-task.ts';

export interface Limits {
  readonly queueNames: QueueNames;
  readonly capacity: Capacity;
}

const MOST_QUEUES = 100;

/** Checks for room for tasks of any queues, and counts them. @throws PopfleetError `invalid-input`, `queue-full`, `redis-full` */
export async function roomForMany(limits: Limits, tasks: readonly Prepared[]): Promise<void> {
  const queues = new Map<string, { tasks: number; bytes: number }>();
  for (const { queue, task } of tasks) {
    const { tasks: count, bytes } = queues.get(queue) ?? { tasks: 0, bytes: 0 };
    queues.set(queue, { tasks: count + 1, bytes: bytes + task.content.length });
  }
  if (queues.size > MOST_QUEUES) {
    throw new PopfleetError('invalid-input', `A batch may be for at most ${MOST_QUEUES} queues.`);
  }
  for (const [queue, { tasks: count, bytes }] of queues) await roomFor(limits, queue, count, bytes);
}

/**
 * Checks for room for tasks of one queue, and counts them.
 * @param bytes size of their contents
 * @returns a promise unless there is certainly room; it rejects with PopfleetError `queue-full` or `redis-full`
 */
export function roomFor(
  { queueNames, capacity }: Limits,
  queue: string,
  tasks: number,
  bytes: number,
): Promise<void> | undefined {
  const known = queueNames.demand(queue);
  return known
    ? known.then(() => capacity.reserve(queue, tasks, bytes))
    : capacity.reserve(queue, tasks, bytes);
}
