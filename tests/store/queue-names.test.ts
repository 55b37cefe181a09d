// How many queues there may be: those in Redis, and for a while those whose first task is on its way there.

import { afterEach, beforeAll, afterAll, expect, test } from 'vitest';
import { createQueueNames } from '../../src/store/queue-names.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterEach(async () => {
  await redis.client.flushall();
});
afterAll(async () => {
  await redis?.stop();
});

const FULL = expect.objectContaining({ code: 'queue-full' });

test('names that are asked for at once are all counted', async () => {
  const names = createQueueNames(redis.client, 3);
  const asked = Array.from({ length: 10 }, async (_, at) => names.demand(`q${at}`));
  const outcomes = await Promise.allSettled(asked);
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
});

test('a name whose task never came (a dry run) is free again after a while', async () => {
  let now = 0;
  const names = createQueueNames(redis.client, 2, () => now);
  await names.demand('real');
  await redis.client.sadd('pf:queues', 'real');
  await names.demand('never');
  await names.demand('never');
  await expect(names.demand('late')).rejects.toEqual(FULL);
  now = 10_001;
  await names.demand('late');
  await expect(names.demand('never')).rejects.toEqual(FULL);
});

test('queues that are there need no look; names that are gone from Redis do not count', async () => {
  await redis.client.sadd('pf:queues', 'a', 'b');
  const names = createQueueNames(redis.client, 2);
  await expect(names.demand('c')).rejects.toEqual(FULL);
  expect(names.demand('a')).toBeUndefined();
  await redis.client.srem('pf:queues', 'b');
  await names.demand('c');
});
