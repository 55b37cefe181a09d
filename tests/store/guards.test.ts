// What a guard may answer when a worker claims a task, with a guard that a test puts beside the expiry.

import { expect, test } from 'vitest';
import { buildScriptsWithClock } from '../support/model-clock.ts';
import { countsOf, expectBalanced } from '../support/moves.ts';
import { openScriptedQueue, QUEUE } from '../support/scripted-queue.ts';
import { startStore } from '../support/store.ts';

/** Holds back what the key `test:guard` says: a list of words, one a task that is asked for. */
const GUARD = `
Q.guards[#Q.guards + 1] = function(id, task)
  local word = redis.call('LPOP', 'test:guard') or 'take'
  return tonumber(word) or word
end
`;

const { client } = await startStore((build) => {
  const scripts = buildScriptsWithClock(build);
  const lua = scripts.claim.lua
    .replace('\n-- Claiming, shared by', `${GUARD}\n-- Claiming, shared by`)
    .replace(' ready>running ', ' ready>running ready>scheduled ');
  return { ...scripts, claim: { ...scripts.claim, lua } };
});

test('a guard lets a task run, leaves it to the sweep, or gives it a time when it is due', async () => {
  const { clock, enqueue, take, task, sweep } = await openScriptedQueue(client);
  const [left = '', later = '', taken = ''] = await enqueue(3);
  const dueAt = clock.now() + 5_000;
  await client.rpush('test:guard', 'leave', dueAt, 'take');

  expect(await take(3)).toEqual([{ id: taken, claim: 1 }]);
  expect(await task(left)).toMatchObject({ state: 'ready', claims: 0 });
  expect(await task(later)).toMatchObject({ state: 'scheduled', claims: 0, dueAt });
  expect(await countsOf(client, QUEUE)).toMatchObject({ accepted: 3, ready: 1, scheduled: 1, running: 1 });

  await clock.advance(5_000);
  expect((await sweep()).counts).toMatchObject({ due: 1 });
  expect(await take(1)).toEqual([{ id: later, claim: 1 }]);
  await expectBalanced(client, QUEUE);
});

test('the first guard that holds a task back decides, and the expiry is asked as well', async () => {
  const { clock, enqueue, take, task, sweep } = await openScriptedQueue(client);
  const [expired = ''] = await enqueue(1, { ttlMs: 100 });
  await clock.advance(200);
  await client.rpush('test:guard', 'take');
  expect(await take(1)).toEqual([]);
  expect(await client.llen('test:guard')).toBe(1);
  expect((await sweep()).counts).toMatchObject({ expired: 1 });
  expect(await task(expired)).toMatchObject({ state: 'dead', claims: 0 });
  await expectBalanced(client, QUEUE);
});
