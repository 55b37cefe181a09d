// A batch for the program that has opened it through the library.

import { keyReused, ofTask } from './accept/idempotency.ts';
import type { Prepared, Sender } from './accept/new-task.ts';
import type { AcceptBatch } from './batches/accept-batch.ts';
import { type BatchCall, type BatchCallInput, BatchSchema } from './protocol/batch.ts';
import { PopfleetError } from './protocol/errors.ts';
import { LIMITS_OF_MANY } from './protocol/many-tasks.ts';
import type { CallInput } from './protocol/options.ts';
import { invalidInput, noList, validate } from './protocol/validate.ts';
import { readPlain } from './protocol/plain-value.ts';
import type { Batches } from './store/batches.ts';
import { type BatchView, toBatchView } from './views/batch-view.ts';

/** One task of a batch. */
export type BatchTask = Omit<CallInput, 'type' | 'input'> & {
  readonly type: string;
  readonly input: unknown;
};

/** As `POST /v1/batches` takes it: `then`, `name`, `key`, `queue`, and `tasks` when these are all. */
export type NewBatch = Omit<BatchCallInput, 'tasks'> & { readonly tasks?: readonly BatchTask[] };

export interface BatchHandle {
  readonly id: string;
  /** True when its key has found one that the same call had made before. */
  readonly replayed: boolean;
  /**
   * Adds tasks while it is open. All of them are checked before the first is sent.
   * @returns their ids, in their order; a task whose key has made it before is none of the batch
   * @throws PopfleetError as `enqueueMany` does; `invalid-state` when it is closed
   */
  add(tasks: readonly BatchTask[]): Promise<readonly string[]>;
  /** It takes no more tasks. */
  close(): Promise<BatchView>;
  /** As it is now. @throws PopfleetError `not-found` when it is no longer kept */
  get(): Promise<BatchView>;
}

export interface BatchHandleDeps {
  readonly acceptBatch: AcceptBatch;
  readonly batches: Batches;
  readonly sender: Sender;
  /**
   * Checks tasks, and looks up their keys.
   * @param at JSON Pointer of the tasks within the call, without `#`
   * @throws PopfleetError with the position of each wrong task; `idempotency-key-reused` when its key belongs to another request
   */
  prepare(tasks: readonly BatchTask[], at?: string): Promise<readonly Prepared[]>;
}

/** @throws PopfleetError `invalid-input`, `unknown-type`, `idempotency-key-reused`, `redis-unavailable`, `redis-full` */
export async function openBatch(
  given: NewBatch,
  { acceptBatch, batches, sender, prepare }: BatchHandleDeps,
): Promise<BatchHandle> {
  const call = readBatch(given);
  const tasks = given.tasks && (await prepare(given.tasks, '/tasks'));
  const { id, home, isReplayed } = await acceptBatch.open(call, tasks, sender);

  async function get(): Promise<BatchView> {
    const record = await batches.find(id, [home]);
    if (record) return toBatchView(record, '');
    throw new PopfleetError('not-found', 'There is no such batch any more.');
  }

  return {
    id,
    replayed: isReplayed,
    async add(more) {
      const sent = await acceptBatch.add(home, id, await prepare(more));
      return sent.tasks.map(({ task }, at) => {
        const verdict = sent.verdicts.get(at);
        if (verdict?.word === 'conflict') throw keyReused(ofTask(verdict.id), `#/${at}/key`);
        return verdict?.id ?? task.id;
      });
    },
    async close() {
      await batches.close(home, id);
      return get();
    },
    get,
  };
}

/** Each of its tasks is checked by itself. @throws PopfleetError `invalid-input` */
function readBatch(given: NewBatch): BatchCall {
  const plain = readPlain(given, LIMITS_OF_MANY);
  if ('fault' in plain) throw invalidInput([plain.fault]);
  const call = validate(noList(BatchSchema), plain.value);
  const beside = readPlain({ ...call, tasks: undefined });
  if ('fault' in beside) throw invalidInput([beside.fault]);
  return call;
}
