// Tasks on their way to another queue, in three steps: their rows are read here, accepted there, and dropped here. It may break off
// after any of them, and several may do the same at once: the queue that accepts a task marks it.

import type { Redis } from 'ioredis';
import { TASK_ID_CHARS } from '../protocol/names.ts';
import { steadyNow } from '../steady-now.ts';
import { nameOf, type Place, placeOf } from './keys.ts';
import { registerQueues } from './queue-names.ts';
import { demandInTime } from './relay-time.ts';
import { runScript } from './scripts.ts';

/** A task as it goes over. */
export interface MovingTask {
  /** Of its entry in the outbox. */
  readonly name: string;
  readonly id: string;
  readonly to: string;
  /** State in which it is accepted there. */
  readonly state: string;
  /** When it was asked for, by `steadyNow()`. */
  readonly readAt: number;
  /** Its header, its content, and the values that go along, as Redis has them. */
  readonly row: readonly Buffer[];
}

/** Bytes of contents that one call reads or sends, about. */
const BYTES_A_CALL = 4_194_304;

/**
 * @param names of entries in the outbox of a place
 * @returns how many of them were looked at (at least one), and their tasks, as far as they are still there
 * @throws Error of ioredis
 */
export async function readMoving(
  client: Redis,
  place: Place,
  names: readonly string[],
): Promise<{ readonly lookedAt: number; readonly tasks: readonly MovingTask[] }> {
  const readAt = steadyNow();
  const ids = names.map((name) => name.slice(0, TASK_ID_CHARS));
  const reply = await runScript(client, 'moving', place, [BYTES_A_CALL, ...ids]);
  const [lookedAt, rows] = reply as [number, Buffer[][]];
  const tasks = rows.flatMap(([id, where, ...row]): MovingTask[] => {
    const name = names[ids.indexOf(String(id))];
    const [state = '', to = ''] = String(where).split(' ');
    return name === undefined ? [] : [{ name, id: String(id), to, state, readAt, row }];
  });
  return { lookedAt, tasks };
}

/**
 * @param from the place that they come from
 * @param tasks all to the same queue
 * @returns names of the entries whose tasks are there now, or were there before
 * @throws Error of ioredis, also when Redis is full; Error when they were read too long ago
 */
export async function acceptMoving(
  client: Redis,
  from: Place,
  tasks: readonly MovingTask[],
): Promise<readonly string[]> {
  const [first] = tasks;
  if (!first) return [];
  demandInTime(first.readAt);
  await registerQueues(client, [first.to]);
  const args = tasks.flatMap(({ id, name, state, row }) => [id, `${nameOf(from)} ${name}`, state, ...row]);
  const answers = (await runScript(client, 'arrive', placeOf(first.to, first.id), args)) as Buffer[];
  return tasks.filter((_, at) => String(answers[at]) === 'arrived').map(({ name }) => name);
}

/** @throws Error of ioredis */
export async function dropMoved(client: Redis, place: Place, names: readonly string[]): Promise<void> {
  if (names.length > 0) await runScript(client, 'moved', place, names);
}
