// The answer for a task that was sent.

import * as v from 'valibot';
import type { Prepared } from '../accept/new-task.ts';
import { type Durability, DurabilitySchema } from '../protocol/options.ts';
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
    durability: v.exactOptional(
      v.pipe(
        DurabilitySchema,
        v.description(
          'where Redis had the task when this was answered, if its call or its type asks for a `durability`; less than that when it was not reached in time',
        ),
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
  readonly durability?: Durability;
  readonly message?: string;
  readonly links: { readonly self: string; readonly events: string };
}

/** The level that was reached, also where the answer has no receipt. */
export const DURABILITY_HEADER = 'Popfleet-Durability';

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
  { queue, state, task: { id, lane }, durability }: Prepared,
  verdict: Verdict | undefined,
  basePath: string,
): Accepted {
  const reached = reachedBy(durability, verdict);
  if (verdict?.word === 'replayed') {
    return {
      id: verdict.id,
      type,
      queue,
      priority: lane,
      replayed: true,
      ...reached,
      links: linksOf(verdict.id, basePath),
    };
  }
  return { id, type, state, queue, priority: lane, ...reached, links: linksOf(id, basePath) };
}

/** What an answer says of the level of a task; `undefined` when it has none. */
export function reachedBy(
  asked: Durability | undefined,
  verdict: Verdict | undefined,
): { readonly durability: Durability } | undefined {
  return asked === undefined ? undefined : { durability: verdict?.reached ?? 'memory' };
}

/** The header for tasks that were sent together: `memory` unless each that has a level has reached it. */
export function durabilityHeader(
  tasks: readonly Prepared[],
  verdicts: ReadonlyMap<number, Verdict>,
): Record<string, string> {
  const levels = tasks.flatMap(
    ({ durability }, at) => reachedBy(durability, verdicts.get(at))?.durability ?? [],
  );
  const least = levels.includes('memory') ? 'memory' : levels[0];
  return least === undefined ? {} : { [DURABILITY_HEADER]: least };
}

/** The links of the task that a caller with the scope `enqueue` alone may follow. */
function linksOf(id: string, basePath: string): Accepted['links'] {
  const self = taskPath(id, basePath);
  return { self, events: `${self}/events` };
}
