// The answer for a task that was sent.

import * as v from 'valibot';
import type { Prepared } from '../accept/new-task.ts';
import type { Lane } from '../protocol/lane.ts';
import type { Verdict } from '../store/producer.ts';
import { named } from '../views/component.ts';
import { taskEntries, taskPath } from '../views/task-view.ts';

/** One schema for every such answer: a union would hide its members from generated clients. */
export const ReceiptSchema = named(
  'TaskReceipt',
  v.object({
    ...v.partial(v.object(taskEntries)).entries,
    id: v.string(),
    type: v.string(),
    queue: v.string(),
    priority: taskEntries.priority,
    state: v.exactOptional(
      v.pipe(
        taskEntries.state,
        v.description('absent for a task that was there already: it may have gone on meanwhile'),
      ),
    ),
    replayed: v.exactOptional(
      v.pipe(
        v.literal(true),
        v.description('the idempotency key found a task that was made by the same request before'),
      ),
    ),
    message: v.exactOptional(v.string()),
    links: v.object({
      self: v.string(),
      events: v.string(),
      log: v.exactOptional(v.string()),
      explain: v.exactOptional(v.string()),
    }),
  }),
);

/** The answer for a task that Redis has just accepted, or had already. */
export interface Accepted {
  readonly id: string;
  readonly type: string;
  readonly queue: string;
  readonly priority: Lane;
  readonly state?: 'ready' | 'scheduled';
  readonly replayed?: true;
  readonly message?: string;
  readonly links: { readonly self: string; readonly events: string };
}

export const CheckedSchema = named(
  'CheckedCall',
  v.object({
    valid: v.literal(true),
    type: v.string(),
    queue: v.string(),
    priority: taskEntries.priority,
  }),
);

export function toAccepted(
  type: string,
  { queue, state, task: { id, lane } }: Prepared,
  verdict: Verdict | undefined,
  basePath: string,
): Accepted {
  if (verdict?.word === 'replayed') {
    return {
      id: verdict.id,
      type,
      queue,
      priority: lane,
      replayed: true,
      links: linksOf(verdict.id, basePath),
    };
  }
  return { id, type, state, queue, priority: lane, links: linksOf(id, basePath) };
}

/** The links of the task that a caller with the scope `enqueue` alone may follow. */
function linksOf(id: string, basePath: string): Accepted['links'] {
  const self = taskPath(id, basePath);
  return { self, events: `${self}/events` };
}
