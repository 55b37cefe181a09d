// What a person or an API caller does to tasks and queues that exist.

import type { Redis } from 'ioredis';
import type { TaskState } from '../protocol/task-state.ts';
import { type Place, placeOf, placesOf } from './keys.ts';
import type { ScriptArgument } from './script-call.ts';
import { runScript, type ScriptName } from './scripts.ts';
import { withStoreErrors } from './store-error.ts';
import { orderWorker, type WorkerOrder } from './worker-orders.ts';

/** `requested`: it runs and its worker was asked to stop it; `unknown`: there is no such task. */
export type CancelAnswer =
  | 'cancelled'
  | 'requested'
  | 'unknown'
  | Extract<TaskState, 'succeeded' | 'dead' | 'cancelled' | 'moved'>;

/** `replayed`, `unknown`, or the state it is in instead of dead. */
export type ReplayAnswer = 'replayed' | 'unknown' | 'held' | TaskState;

export interface EditedInput {
  readonly content: Buffer;
  /** What the task is found by, as `writeTerms` writes it. */
  readonly terms: string | undefined;
}

interface HowToReplay {
  /** Its handler finds no checkpoint. */
  readonly isAnew?: boolean;
  /** Another input, as `editInput` makes it. */
  readonly edited?: EditedInput | undefined;
}

/** `running`: it cannot be removed before it was cancelled. `moved`: it is on its way to another queue. */
type RemoveAnswer = 'removed' | 'unknown' | 'running' | 'moved' | 'held';

/** @throws PopfleetError `redis-unavailable` from every method when Redis does not answer */
export interface Operator {
  cancel(queue: string, id: string): Promise<CancelAnswer>;
  /** A dead task runs again with a fresh budget of attempts. */
  replay(queue: string, id: string, how?: HowToReplay): Promise<ReplayAnswer>;
  /** Drops a task that does not run. */
  remove(queue: string, id: string): Promise<RemoveAnswer>;
  /** @param reason why, in words; without one it stays as it was said before */
  pause(queue: string, reason?: string): Promise<void>;
  resume(queue: string): Promise<void>;
  /** Tells a worker what to do with a queue. @returns false when no such worker serves it */
  order(queue: string, worker: string, order: WorkerOrder): Promise<boolean>;
}

/**
 * @param client a connection of `openCommandConnection`
 * @param onEnd called with the place of a followed task that it has ended
 */
export function createOperator(client: Redis, onEnd: (place: Place) => void = () => undefined): Operator {
  async function call(script: ScriptName, place: Place, ...args: ScriptArgument[]): Promise<string> {
    return String(await runScript(client, script, place, args));
  }

  /** A call that may end the task. */
  async function end(script: 'cancel' | 'remove', queue: string, id: string): Promise<string> {
    const place = placeOf(queue, id);
    const [word, appended] = (await runScript(client, script, place, [id])) as [Buffer, number];
    if (appended > 0) onEnd(place);
    return String(word);
  }

  async function callAll(script: ScriptName, queue: string, ...args: readonly string[]): Promise<void> {
    await Promise.all(placesOf(queue).map((place) => call(script, place, ...args)));
  }

  return withStoreErrors<Operator>({
    cancel: async (queue, id) => (await end('cancel', queue, id)) as CancelAnswer,
    async replay(queue, id, { isAnew = false, edited } = {}) {
      const input = edited ? [edited.content, edited.terms ?? ''] : [];
      return (await call('retry', placeOf(queue, id), id, isAnew ? '1' : '', ...input)) as ReplayAnswer;
    },
    remove: async (queue, id) => (await end('remove', queue, id)) as RemoveAnswer,
    pause: (queue, reason = '') => callAll('pause', queue, 'paused', reason),
    resume: (queue) => callAll('pause', queue, 'open', ''),
    order: (queue, worker, order) => orderWorker(client, queue, worker, order),
  });
}
