// Following the events of a queue: each move once and in order, and an alarm when some were trimmed before they were read.

import { expect, test } from 'vitest';
import type { TaskMove } from '../../src/store/event-entry.ts';
import { createEventReader } from '../../src/store/event-reader.ts';
import { queueKey } from '../support/queue-key.ts';
import { eventually } from '../support/eventually.ts';
import { silent } from '../support/server.ts';
import { startStore } from '../support/store.ts';

const ID = '01890f3a-2b4c-7d5e-8f60-718293a4b5c6';

const { redis, client } = await startStore();

/** As `tell` in move.lua writes it. */
async function tell(queue: string, number: number, ...moves: string[]): Promise<void> {
  const fields = moves.flatMap((move) => ['m', move]);
  await client.xadd(`${queueKey(queue)}:events`, '*', 'n', number, ...fields);
}

test('moves come in order, also several groups of one entry; a missing number is a gap', async () => {
  await tell('q', 7, `${ID}ready`);
  const seen: TaskMove[] = [];
  let gaps = 0;
  const reader = createEventReader(silent(redis.url), client, {
    onEntries: (_queue, entries) => seen.push(...entries.flatMap(({ moves }) => moves)),
    onGap: () => (gaps += 1),
  });
  try {
    await reader.watch('q');
    await tell('q', 8, `${ID}running ${ID}succeeded`, `${ID}removed`);
    await tell('q', 9, `${ID}ready`);
    await eventually(() => seen.length === 4);
    expect(seen.map(({ state }) => state)).toEqual(['running', 'succeeded', 'removed', 'ready']);
    expect(seen.every(({ id, queue }) => id === ID && queue === 'q')).toBe(true);
    expect(gaps).toBe(0);

    // Ten and eleven were trimmed before anybody could read them.
    await tell('q', 12, `${ID}dead`);
    await eventually(() => gaps === 1);
    await tell('q', 13, `${ID}ready`);
    await eventually(() => seen.length === 6);
    expect(gaps).toBe(1);
  } finally {
    await reader.stop();
  }
});

test('the first entry of an empty stream is no gap', async () => {
  let gaps = 0;
  let moves = 0;
  const reader = createEventReader(silent(redis.url), client, {
    onEntries: (_queue, entries) => (moves += entries.flatMap((entry) => entry.moves).length),
    onGap: () => (gaps += 1),
  });
  try {
    await reader.watch('empty');
    await tell('empty', 1, `${ID}ready`);
    await eventually(() => moves === 1);
    expect(gaps).toBe(0);
  } finally {
    await reader.stop();
  }
});
