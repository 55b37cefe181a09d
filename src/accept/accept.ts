// Accepts tasks, without HTTP: routes, batches, schedules and the library use it.
// A call is prepared, admitted by the limits and sent; many calls take the same three steps together.

import type { Log } from '../log.ts';
import { PopfleetError } from '../protocol/errors.ts';
import type { Call, Durability } from '../protocol/options.ts';
import type { TaskSchedule } from '../protocol/schedule.ts';
import type { DurableProducers } from '../store/durable.ts';
import type { KeyOwners } from '../store/key-owners.ts';
import type { Producer, Verdict } from '../store/producer.ts';
import type { Registry } from '../tasks/registry.ts';
import { type Batcher, createBatcher } from './batcher.ts';
import { isRepeat, type KnownKeys, lookUpKeys } from './idempotency.ts';
import { type Limits, roomFor, roomForMany } from './limits.ts';
import {
  ALONE,
  checkCall,
  definitionOf,
  demandQueue,
  type Position,
  type Prepared,
  prepareSchedule,
  prepareTask,
  type Sender,
  type StepOfWorkflow,
} from './new-task.ts';
import { sendMany } from './send-many.ts';

/** @throws PopfleetError `redis-unavailable` from every method that returns a promise */
export interface Accept {
  /** Makes a task of a call that was validated. @throws PopfleetError `unknown-type`, `invalid-input`, `forbidden` */
  prepare(call: Call, sender: Sender, position?: Position, step?: StepOfWorkflow): Prepared;
  /**
   * Checks the limits for one task. A task that its key has made before is always admitted.
   * @returns a promise unless it is certainly admitted; it rejects with PopfleetError `quota-exceeded`, `queue-full` or
   *   `redis-full`
   */
  admit(prepared: Prepared, sender: Sender): Promise<void> | undefined;
  /**
   * Resolves once Redis has the task (`undefined`, or for one with a level the level that was reached), or has found that its key is taken.
   * @throws PopfleetError `redis-full`; `invalid-input` when this Redis never reaches the level
   */
  send(prepared: Prepared): Promise<Verdict | undefined>;
  /** Looks up the keys of many tasks before they are sent. @param tasks `undefined` for one that will not be sent */
  lookUpKeys(tasks: readonly (Prepared | undefined)[]): Promise<KnownKeys>;
  /** As `admit`, for all tasks or none. @param tasks without those that their keys have made before */
  admitMany(tasks: readonly Prepared[], sender: Sender): Promise<void>;
  /**
   * Sends tasks, in the order of each queue.
   * @param taskAt makes the task of an index; the first are on their way while the next are made
   * @param advice what to do when it breaks off, for the message; unless given, to send them again with keys
   * @returns a verdict for each task that has a level or whose key found another one, by its index
   * @throws PopfleetError as `send`; `accepted` among its extensions is how many were accepted at least
   */
  sendMany(
    count: number,
    taskAt: (index: number) => Prepared,
    advice?: string,
  ): Promise<ReadonlyMap<number, Verdict>>;
  /** Around sending prepared tasks in another way than by `send`, as steps of a workflow are. */
  around<T>(tasks: readonly Prepared[], send: () => Promise<T>): Promise<T>;
  /** Whether a record may be kept in a queue. @throws PopfleetError `invalid-input`, `forbidden`, `queue-full` */
  admitQueue(queue: string, sender: Pick<Sender, 'queues'>): Promise<void>;
  /**
   * A schedule that makes tasks, with its queue, once the limits allow that queue.
   * @throws PopfleetError `unknown-type`, `invalid-input`, `forbidden`, `queue-full`
   */
  prepareSchedule(
    schedule: TaskSchedule,
    sender: Pick<Sender, 'queues'>,
  ): Promise<TaskSchedule & { readonly queue: string }>;
}

/** Before any of the tasks is sent: one that cannot reach its level is refused, and the others would be accepted by then. */
async function demandLevels(durable: DurableProducers, tasks: readonly Prepared[]): Promise<void> {
  const asked = new Map<string, () => Promise<void>>();
  for (const { queue, durability: level } of tasks) {
    if (level === undefined || level === 'memory') continue;
    // No name of a queue has a blank.
    asked.set(`${queue} ${level}`, () => durable.demand(level, queue));
  }
  await Promise.all(Array.from(asked.values(), (demand) => demand()));
}

export interface AcceptDeps {
  readonly registry: Registry;
  readonly producer: Producer;
  readonly keyOwners: KeyOwners;
  /** Without them, levels of tasks are not looked at: all are in the memory of Redis. */
  readonly durable?: DurableProducers;
  /** Without limits every task is admitted. */
  readonly limits?: Limits;
  /** Gets what the code of a definition has thrown, of which the sender learns only that it has. */
  readonly log?: Log;
}

export function createAccept({ registry, producer, durable, keyOwners, limits, log }: AcceptDeps): Accept {
  const batcher = createBatcher(producer);
  const durableBatchers = new Map<Producer, Batcher>();

  function producerFor(level: Durability = 'memory'): Producer {
    return level === 'memory' || !durable ? producer : durable.at(level);
  }

  function batcherOf(one: Producer): Batcher {
    // What nearly every task needs.
    if (one === producer) return batcher;
    const own = durableBatchers.get(one) ?? createBatcher(one);
    durableBatchers.set(one, own);
    return own;
  }

  function logging<Result>(prepare: () => Result): Result {
    try {
      return prepare();
    } catch (error) {
      if (error instanceof PopfleetError && error.cause !== undefined) {
        log?.warn({ err: error.cause }, error.message);
      }
      throw error;
    }
  }

  /** A limit does not keep a sender from finding the task that its key has made. */
  async function orRepeat(room: Promise<void>, prepared: Prepared): Promise<void> {
    try {
      await room;
    } catch (error) {
      if (!(await isRepeat(prepared, keyOwners))) throw error;
    }
  }

  return {
    prepare(call, sender, position = ALONE, step?: StepOfWorkflow) {
      return logging(() => prepareTask(checkCall(registry, call, position, step), sender));
    },

    admit(prepared, sender) {
      const { queue, task } = prepared;
      const refusal = sender.spend?.(1);
      const room = refusal
        ? Promise.reject(refusal)
        : limits && roomFor(limits, queue, 1, task.content.length);
      return room && orRepeat(room, prepared);
    },

    send: ({ queue, task, durability }) => batcherOf(producerFor(durability)).send(queue, task),
    lookUpKeys: (tasks) => lookUpKeys(tasks, keyOwners),

    async admitMany(tasks, sender) {
      const refusal = sender.spend?.(tasks.length);
      if (refusal) throw refusal;
      if (limits) await roomForMany(limits, tasks);
      if (durable) await demandLevels(durable, tasks);
    },

    sendMany: (count, taskAt, advice) => sendMany(producerFor, count, taskAt, advice),

    around: (_tasks, send) => send(),

    async admitQueue(queue, sender) {
      demandQueue(sender, queue, ALONE);
      await limits?.queueNames.demand(queue);
    },

    async prepareSchedule(schedule, sender) {
      const definition = definitionOf(registry, schedule, ALONE);
      const whole = logging(() => prepareSchedule(schedule, definition, sender));
      await limits?.queueNames.demand(whole.queue);
      return whole;
    },
  };
}
