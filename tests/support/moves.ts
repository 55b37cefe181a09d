// What became of the tasks of a queue, as Redis wrote it down: every transition, in order, and its own counts.

import type { Redis } from 'ioredis';
import { expect } from 'vitest';
import { TASK_STATES } from '../../src/protocol/task-state.ts';
import { COUNT_FIELDS } from '../../src/store/totals.ts';
import { expectIndexed } from './index-facts.ts';
import { queueKey } from './queue-key.ts';
import { recordsOf } from './records.ts';

export interface Move {
  readonly id: string;
  readonly state: string;
  /** Equal for all moves of one script call. */
  readonly call: string;
}

/** All transitions of a queue so far, oldest first (the latest 10,000 calls). */
export async function movesOf(client: Redis, queue = 'default'): Promise<Move[]> {
  const journal = openJournal(client, queue);
  await journal.read();
  return journal.moves;
}

export interface Journal {
  /** All that was read so far, oldest first. */
  readonly moves: Move[];
  /** Reads what came since the last time: the stream keeps less of the past when calls make many moves each. */
  read(): Promise<void>;
}

export function openJournal(client: Redis, queue = 'default'): Journal {
  const moves: Move[] = [];
  let from = '-';
  return {
    moves,
    async read() {
      const entries = await client.xrange(`${queueKey(queue)}:events`, from, '+');
      for (const [call, fields] of entries) {
        from = `(${call}`;
        const texts = fields.filter((_, at) => at % 2 === 1 && fields[at - 1] === 'm');
        for (const move of texts.flatMap((text) => text.split(' '))) {
          moves.push({ call, id: move.slice(0, 36), state: move.slice(36) });
        }
      }
    },
  };
}

/** Ids in the order in which they began to run. */
export async function startsOf(client: Redis, queue = 'default'): Promise<string[]> {
  return (await movesOf(client, queue)).filter(({ state }) => state === 'running').map(({ id }) => id);
}

/** How many moves into a state the largest single call made. */
export async function largestSlice(client: Redis, state: string, queue = 'default'): Promise<number> {
  return largestSliceOf(await movesOf(client, queue), state);
}

export function largestSliceOf(moves: readonly Move[], state: string): number {
  const calls = new Map<string, number>();
  for (const move of moves) {
    if (move.state === state) calls.set(move.call, (calls.get(move.call) ?? 0) + 1);
  }
  return Math.max(0, ...calls.values());
}

/** Milliseconds of the Redis clock. */
export async function redisNow(client: Redis): Promise<number> {
  const [seconds, micros] = await client.time();
  return Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
}

/** What there is, beside what has happened so far (`totalsOf`). */
const OF_NOW = new Set<string>([
  'accepted',
  ...TASK_STATES,
  'removed',
  'malformed',
  'bytes',
  'moved-in',
  'moved-out',
]);

/** The counts of a queue. Numbers that are 0 are left out. */
export async function countsOf(client: Redis, queue = 'default'): Promise<Record<string, number>> {
  const counts = Object.entries(await client.hgetall(`${queueKey(queue)}:count`));
  for (const [name] of counts) expect(COUNT_FIELDS).toContain(name);
  return Object.fromEntries(
    counts
      .filter(([name]) => OF_NOW.has(name))
      .map(([name, text]) => [name, Number(text)] as const)
      .filter(([, count]) => count !== 0),
  );
}

/**
 * Expects that Redis counts what there is: `accepted = sum of states + removed`, each state as many as there are records,
 * the bytes of the finished ones, and by what they are found. Nobody may change the queue meanwhile.
 */
export async function expectBalanced(client: Redis, queue = 'default'): Promise<void> {
  const counts = await countsOf(client, queue);
  const { accepted = 0, removed = 0, bytes = 0, malformed: _, ...others } = counts;
  const { 'moved-in': __, 'moved-out': ___, ...states } = others;
  const sum = Object.values(states).reduce((total, count) => total + count, 0);
  expect({ accepted }).toEqual({ accepted: sum + removed });

  const found: Record<string, number> = {};
  let keptBytes = 0;
  for (const record of await recordsOf(client, queue)) {
    found[record.state] = (found[record.state] ?? 0) + 1;
    keptBytes += record.bytes;
  }
  expect(states).toEqual(found);
  expect(bytes).toBe(keptBytes);
  for (const state of Object.keys(states)) expect(TASK_STATES).toContain(state);
  await expectIndexed(client, queue);
}
