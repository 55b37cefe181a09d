// Tasks that wait until what they need has happened, and what tells them that it has (lua/lib/needs.lua).

import type { Redis } from 'ioredis';
import { endpointRulesOf, withEndpoints } from './endpoint-rules.ts';
import { registerQueues } from './queue-names.ts';
import { type Place, placeOf } from './keys.ts';
import type { NewTask } from './new-task.ts';
import { runScript } from './scripts.ts';

/** What becomes of a waiting task when one of its needs fails: it is dead, it runs as if it were met, or it is cancelled. */
export type NeedPolicy = 'fail' | 'run' | 'cancel';

/** One need of a task. */
interface Need {
  /** What it waits for, and which run of that, as `needOf` writes it. */
  readonly need: string;
  /** Under which the task finds what came of it. Without blanks. */
  readonly name: string;
}

/** A task that is accepted as `waiting`. It has one need at least; its delay and its start-by time count from when the last is met. */
export interface WaitingTask extends NewTask {
  readonly needs: readonly Need[];
  readonly onNeedFailed: NeedPolicy;
}

/** How the source of a need has ended. `gone`: it was removed; `withdrawn`: nobody wants the waiting task any more, it is cancelled. */
export type NeedOutcome = 'succeeded' | 'dead' | 'cancelled' | 'gone' | 'withdrawn';

export interface Settlement {
  /** The task that waits. */
  readonly id: string;
  readonly need: string;
  readonly outcome: NeedOutcome;
  /** CBOR of the result or of the error of the source. */
  readonly value?: Buffer | undefined;
  /** CBOR of the error with which the task ends when it does, and its group as `groupOf` makes it. */
  readonly failure?: Buffer | undefined;
  readonly group?: string | undefined;
}

/**
 * `stale`: the task has no such need (any more); `known`: it was settled before; `noted`: the task does not wait any more; `waiting`:
 * it waits for others; else the state that it is in now.
 */
export type SettleAnswer =
  | 'stale'
  | 'known'
  | 'noted'
  | 'waiting'
  | 'ready'
  | 'scheduled'
  | 'dead'
  | 'cancelled';

/**
 * As the outbox names an end: `<id of the task>:<number of its end>`, of a step of a workflow `<id>:g<generation>`.
 * @param source id of a task or of whatever else may be waited for; without blanks
 */
export function needOf(source: string, generation: number | `g${number}` | `start-${number}`): string {
  return `${source}:${generation}`;
}

/**
 * Accepts tasks of one queue as `waiting`. A repeat finds them by their ids.
 * @throws Error of ioredis, also when Redis is full
 */
export async function acceptWaiting(
  client: Redis,
  queue: string,
  tasks: readonly WaitingTask[],
): Promise<readonly ('waiting' | 'known')[]> {
  await registerQueues(client, [queue]);
  const rules = await endpointRulesOf(client).current();
  const args = tasks.flatMap(({ id, content, lane, extras, needs, onNeedFailed }) => [
    id,
    content,
    lane,
    JSON.stringify(withEndpoints(rules, queue, content, extras) ?? {}),
    [onNeedFailed, ...needs.flatMap(({ need, name }) => [need, name])].join(' '),
  ]);
  const answers = await runScript(client, 'wait', placeOf(queue, tasks[0]?.id ?? ''), args);
  return (answers as Buffer[]).map(String) as ('waiting' | 'known')[];
}

/**
 * Tells waiting tasks of one place how what they need has ended. To tell twice is to tell once. It works in a full Redis.
 * @returns an answer for each, and how many entries were appended to the outbox of the place
 * @throws Error of ioredis
 */
export async function settleNeeds(
  client: Redis,
  place: Place,
  settlements: readonly Settlement[],
): Promise<{ readonly answers: readonly SettleAnswer[]; readonly appended: number }> {
  const none = Buffer.alloc(0);
  const args = settlements.flatMap(({ id, need, outcome, value, failure, group }) => [
    id,
    need,
    outcome,
    value ?? none,
    failure ?? none,
    group ?? '',
  ]);
  const [answers, appended] = (await runScript(client, 'settle', place, args)) as [Buffer[], number];
  return { answers: answers.map(String) as SettleAnswer[], appended };
}
