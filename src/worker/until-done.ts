// Calls that a run waits for, however long Redis is away.

import { delay, retryDelayMs } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import { refusalOf } from '../store/protocol-number.ts';
import type { RunOf } from './runners/runner.ts';
import type { HeldTask, Slots } from './slots.ts';

export interface LeaseOf<Consumer> {
  readonly queue: string;
  readonly consumer: Consumer;
}

/** Makes a call again until it works. @returns `undefined` when its task is to stop for good, or its queue is another release's */
export async function untilDone<T>(held: HeldTask, log: Log, call: () => Promise<T>): Promise<T | undefined> {
  for (let failures = 1; held.reason !== 'lease-lost'; failures += 1) {
    try {
      return await call();
    } catch (error) {
      if (refusalOf(error) !== undefined) return undefined;
      const { id, queue } = held.task;
      if (failures === 1) log.warn({ err: error, task: id, queue }, 'a run waits for Redis');
      await delay(retryDelayMs(failures, 50, 1_000));
    }
  }
  return undefined;
}

/** Asks the consumer of a held task's queue, as `untilDone` does. @returns `undefined` also when no lease is of that queue */
export async function askFor<Consumer, T>(
  leases: readonly LeaseOf<Consumer>[],
  held: HeldTask,
  log: Log,
  call: (consumer: Consumer) => Promise<T>,
): Promise<T | undefined> {
  const consumer = consumerOf(leases, held.task.queue);
  return consumer && untilDone(held, log, () => call(consumer));
}

/** The task of a run and the consumer of its queue; `undefined` when this worker holds it no more. */
export function holderOf<Consumer>(
  leases: readonly LeaseOf<Consumer>[],
  slots: Pick<Slots, 'find'>,
  { queue, id, claim }: RunOf,
): { readonly consumer: Consumer; readonly held: HeldTask } | undefined {
  const consumer = consumerOf(leases, queue);
  const held = slots.find(queue, id);
  return consumer && held?.task.claim === claim ? { consumer, held } : undefined;
}

function consumerOf<Consumer>(leases: readonly LeaseOf<Consumer>[], queue: string): Consumer | undefined {
  return leases.find((lease) => lease.queue === queue)?.consumer;
}
