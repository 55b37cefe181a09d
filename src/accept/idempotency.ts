// Looks up idempotency keys before their tasks are sent, and refuses a key that belongs to another request.

import { PopfleetError } from '../protocol/errors.ts';
import type { KeyOwners } from '../store/key-owners.ts';
import type { IdempotencyKey } from '../store/new-task.ts';
import type { Prepared } from './new-task.ts';

/** Names a task that Redis has, for `keyReused`. */
export function ofTask(id: string): string {
  return `(task ${id})`;
}

/**
 * @param whose the other request: `ofTask`, or an entry of `KnownKeys.taken`
 * @param pointer to the key in the sender's request, if it is in the body
 */
export function keyReused(whose: string, pointer?: string): PopfleetError {
  const detail = `belongs to another request ${whose}`;
  return new PopfleetError(
    'idempotency-key-reused',
    `The key ${detail}. Use a new key, or send the same request again.`,
    pointer === undefined ? {} : { faults: [{ pointer, detail }] },
  );
}

/** The error for a key that has made another record than the request asks for. */
export function recordKeyReused(what: 'batch' | 'workflow', id: string): PopfleetError {
  return new PopfleetError(
    'idempotency-key-reused',
    `The key belongs to the ${what} ${id}, which was asked for in another way.`,
    { faults: [{ pointer: '#/key', detail: 'belongs to another request' }] },
  );
}

/** Whether the key of a task has made it before. @throws PopfleetError `redis-unavailable` */
export async function isRepeat({ queue, task: { extras } }: Prepared, owners: KeyOwners): Promise<boolean> {
  if (!extras?.key) return false;
  const [owner] = await owners.of(queue, [extras.key.key]);
  return owner?.digest === extras.key.digest;
}

/** The tasks by their index. */
export interface KnownKeys {
  /** Tasks that their key has made before. */
  readonly repeats: ReadonlySet<number>;
  /** Tasks whose key belongs to another request → that request, for `keyReused`. */
  readonly taken: ReadonlyMap<number, string>;
}

/** As `Accept.lookUpKeys`, in Redis and among the tasks. */
export async function lookUpKeys(
  tasks: readonly (Prepared | undefined)[],
  owners: KeyOwners,
): Promise<KnownKeys> {
  const repeats = new Set<number>();
  const taken = new Map<number, string>();

  async function lookUp(queue: string, keyed: readonly KeyedTask[]): Promise<void> {
    const names = [...new Set(keyed.map(({ key }) => key.key))];
    const found = await owners.of(queue, names);
    const ownerOf = new Map(names.map((name, at) => [name, found[at]]));
    /** The first task with each key that is free. */
    const firsts = new Map<string, KeyedTask>();
    for (const one of keyed) {
      const { key: name, digest } = one.key;
      const owner = ownerOf.get(name);
      const first = firsts.get(name) ?? one;
      if (owner?.digest === digest) repeats.add(one.index);
      else if (owner) taken.set(one.index, ofTask(owner.id));
      else if (first.key.digest !== digest) taken.set(one.index, `in this batch (item ${first.index})`);
      else firsts.set(name, first);
    }
  }

  await Promise.all(Array.from(keyedByQueue(tasks), ([queue, keyed]) => lookUp(queue, keyed)));
  return { repeats, taken };
}

interface KeyedTask {
  readonly index: number;
  readonly key: IdempotencyKey;
}

function keyedByQueue(tasks: readonly (Prepared | undefined)[]): ReadonlyMap<string, readonly KeyedTask[]> {
  const queues = new Map<string, KeyedTask[]>();
  for (const [index, prepared] of tasks.entries()) {
    const key = prepared?.task.extras?.key;
    if (!prepared || !key) continue;
    const keyed = queues.get(prepared.queue);
    if (keyed) keyed.push({ index, key });
    else queues.set(prepared.queue, [{ index, key }]);
  }
  return queues;
}
