// The tasks of a batch: each is checked like one that is sent alone, and so are the idempotency keys of all together.

import type { Context } from 'hono';
import { type ErrorCode, type FieldFault, PopfleetError } from '../../protocol/errors.ts';
import { CallSchema } from '../../protocol/options.ts';
import type { KeyOwner, KeyOwners } from '../../store/key-owners.ts';
import type { IdempotencyKey, NewTask } from '../../store/producer.ts';
import type { Registry } from '../../tasks/registry.ts';
import type { AppEnv } from '../app-env.ts';
import { validate, validateInput } from '../body.ts';
import { knows } from '../caller.ts';
import { firstState, prepareTask } from '../new-task.ts';
import { traceparentOf } from '../trace-context.ts';

/** Ready to be sent. */
export interface GoodItem {
  readonly index: number;
  readonly queue: string;
  readonly state: 'ready' | 'scheduled';
  readonly task: NewTask;
  /** Its idempotency key made it before. */
  readonly isRepeat?: true;
}

/** Will not be sent. */
export interface BadItem {
  readonly index: number;
  readonly code: ErrorCode;
  readonly detail: string;
  /** Pointers begin with the index. */
  readonly errors: readonly FieldFault[];
  /** Of `errors`, also of those that are not told. */
  readonly errorCount: number;
}

export type BatchItem = GoodItem | BadItem;

export function isGood(item: BatchItem): item is GoodItem {
  return 'task' in item;
}

export interface ItemCheck {
  readonly registry: Registry;
  /** Of the content of a task. */
  readonly itemBytes: number;
  /** Faults that are told of all items together. One is told of each in any case. */
  readonly mostErrors: number;
}

/** Makes the check of the items of one request. */
export function createItemCheck(
  c: Context<AppEnv>,
  { registry, itemBytes, mostErrors }: ItemCheck,
): (value: unknown, index: number) => BatchItem {
  const traceparent = traceparentOf(c);
  const owner = c.get('caller').key;
  let errorsLeft = mostErrors;

  function check(value: unknown, index: number): BatchItem {
    const call = validate(CallSchema, value, `/${index}`);
    const definition = registry.get(call.type);
    if (!definition) return bad(index, 'unknown-type', 'type', 'is no known task type');
    // The worker checks again and may transform: what is stored is what the caller sent.
    validateInput(definition.input, call.input, `/${index}/input`);
    const { queue, task } = prepareTask(call, definition, traceparent, owner);
    if (!knows(c, queue)) return bad(index, 'forbidden', 'queue', 'is not for this key');
    if (task.content.length > itemBytes) {
      return bad(index, 'invalid-input', 'input', `must have at most ${itemBytes} bytes`);
    }
    return { index, queue, state: firstState(call), task };
  }

  return (value, index) => {
    try {
      return check(value, index);
    } catch (error) {
      if (!(error instanceof PopfleetError)) throw error;
      const { code, faults } = error;
      const errors = faults.slice(0, Math.max(1, errorsLeft));
      errorsLeft -= errors.length;
      return { index, code, detail: 'The task is not valid.', errors, errorCount: faults.length };
    }
  };
}

function bad(index: number, code: ErrorCode, field: string, detail: string): BadItem {
  const errors = [{ pointer: `#/${index}/${field}`, detail }];
  return { index, code, detail: `The ${field} ${detail}.`, errors, errorCount: 1 };
}

/** An item that brings a key. */
interface KeyedItem {
  readonly item: GoodItem;
  readonly key: IdempotencyKey;
}

/**
 * Finds those whose idempotency key belongs to another request, in Redis or earlier in the batch.
 * @returns the items with these turned into bad ones, and those marked that their own key made before
 * @throws PopfleetError `redis-unavailable`
 */
export async function refuseTakenKeys(items: readonly BatchItem[], owners: KeyOwners): Promise<BatchItem[]> {
  const refused = items.slice();
  const queues = [...keyedByQueue(items)].map(async ([queue, keyed]) => {
    const names = [...new Set(keyed.map(({ key }) => key.key))];
    const found = await owners.of(queue, names);
    const owner = new Map(names.map((name, at) => [name, found[at]]));
    for (const { item, key } of keyed) {
      if (owner.get(key.key)?.print === key.print) refused[item.index] = { ...item, isRepeat: true };
    }
    for (const one of takenIn(keyed, owner)) refused[one.index] = one;
  });
  await Promise.all(queues);
  return refused;
}

function keyedByQueue(items: readonly BatchItem[]): ReadonlyMap<string, readonly KeyedItem[]> {
  const queues = new Map<string, KeyedItem[]>();
  for (const item of items) {
    const key = isGood(item) ? item.task.extras?.key : undefined;
    if (!isGood(item) || !key) continue;
    const keyed = queues.get(item.queue) ?? [];
    queues.set(item.queue, keyed);
    keyed.push({ item, key });
  }
  return queues;
}

function takenIn(
  keyed: readonly KeyedItem[],
  owners: ReadonlyMap<string, KeyOwner | undefined>,
): readonly BadItem[] {
  const firsts = new Map<string, KeyedItem>();
  const taken: BadItem[] = [];
  for (const one of keyed) {
    const name = one.key.key;
    const owner = owners.get(name);
    const first = firsts.get(name);
    if (!owner && !first) firsts.set(name, one);
    const print = owner?.print ?? first?.key.print ?? one.key.print;
    if (print === one.key.print) continue;
    const whose = owner ? `(task ${owner.id})` : `in this batch (item ${first?.item.index ?? 0})`;
    taken.push(bad(one.item.index, 'idempotency-key-reused', 'key', `belongs to another request ${whose}`));
  }
  return taken;
}
