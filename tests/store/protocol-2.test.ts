// A queue that a release of protocol 2 has kept: headers of followed tasks do not say so there.

import { expect, test } from 'vitest';
import { encodeContent } from '../../src/protocol/message.ts';
import { homeOf } from '../../src/store/keys.ts';
import { createOutbox, writeFollower } from '../../src/store/outbox.ts';
import { buildScriptsWithClock } from '../support/model-clock.ts';
import { KEY, openScriptedQueue, QUEUE } from '../support/scripted-queue.ts';
import { startStore } from '../support/store.ts';

const { client } = await startStore(buildScriptsWithClock);
const follower = writeFollower({ queue: 'next', lane: 'normal', content: encodeContent('add', {}) });

test('it is taken over: what follows its tasks, and those that come later, is found at their ends', async () => {
  const { enqueue, take, finish } = await openScriptedQueue(client);
  const [old = ''] = await enqueue(1, { follower });
  await client.hdel(`${KEY}:headers`, old);
  await client.hset(`${KEY}:queue`, 'protocol', '2', 'followed', '1');

  const [late = ''] = await enqueue(1, { follower });
  expect(await client.hmget(`${KEY}:queue`, 'protocol', 'followed')).toEqual(['3', '1']);
  await finish(await take(2));
  const entries = await createOutbox(client).take(homeOf(QUEUE), 10);
  expect(entries.map(({ id }) => id).sort()).toEqual([old, late].sort());
});
