// Three lanes: strict by default, and with a share for the lower ones when it is asked for.

import { expect, test } from 'vitest';
import { encodeContent } from '../../src/protocol/message.ts';
import { LANES, type Lane } from '../../src/protocol/lane.ts';
import { newTaskId } from '../../src/protocol/task-id.ts';
import { createProducer } from '../../src/store/producer.ts';
import { eventually } from '../support/eventually.ts';
import { finished, send } from '../support/life.ts';
import { countsOf, expectBalanced, movesOf, startsOf } from '../support/moves.ts';
import type { TestRedis } from '../support/redis.ts';
import { openStage, type Stage } from '../support/stage.ts';
import { openStore } from '../support/store.ts';

const ADD = { one: 1, two: 2 };
/** One after the other, so that the order in which they begin is the order in which they were taken. */
const ONE_SLOT = { CONCURRENCY: '1' };

test('high before normal before low, whatever the order of arrival, and each lane in its own order', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const env = { ...ONE_SLOT, REDIS_URL: redis.url };
  const url = (await stage.here('server', env)).url();
  const arrival: readonly Lane[] = [
    'low',
    'normal',
    'low',
    'high',
    'normal',
    'high',
    'low',
    'normal',
    'high',
  ];
  const ids: string[] = [];
  // Normal is what is not said.
  for (const lane of arrival)
    ids.push(await send(url, 'add', ADD, lane === 'normal' ? {} : { priority: lane }));

  await stage.here('worker', env);
  for (const id of ids) await finished(url, id);

  const ofLane = (lane: Lane): string[] => ids.filter((_, at) => arrival[at] === lane);
  expect(await startsOf(redis.client)).toEqual(LANES.flatMap(ofLane));
  // Idle again: whatever comes first runs, in any lane.
  for (const priority of ['low', 'high']) {
    expect(await finished(url, await send(url, 'add', ADD, { priority }))).toMatchObject({
      state: 'succeeded',
    });
  }
  await expectBalanced(redis.client);
});

/**
 * Fills lanes before any worker is there, lets one work, and answers how many came from each lane of the first 100 or more, up
 * to the end of a call: the order within a call is that of its lanes.
 */
async function sharesOf(
  stage: Stage,
  redis: TestRedis,
  flood: Partial<Record<Lane, number>>,
  lowLanesPercent: number | undefined,
): Promise<Record<Lane, number>> {
  const client = await openStore(redis.url);
  stage.atEnd(async () => client.disconnect());
  const producer = createProducer(client);
  const laneOf = new Map<string, Lane>();
  for (const lane of LANES) {
    const ids = Array.from({ length: flood[lane] ?? 0 }, newTaskId);
    for (const id of ids) laneOf.set(id, lane);
    await producer.enqueue(
      'default',
      ids.map((id) => ({ id, content: encodeContent('add', ADD), lane })),
    );
  }
  const share = lowLanesPercent === undefined ? {} : { LOW_LANES_PERCENT: String(lowLanesPercent) };
  await stage.here('worker', { ...ONE_SLOT, ...share, REDIS_URL: redis.url });
  await eventually(async () => (await countsOf(client))['succeeded'] === laneOf.size);
  await expectBalanced(client);
  const starts = (await movesOf(client)).filter(({ state }) => state === 'running');
  const last = starts[99]?.call;
  const until = starts.findLastIndex(({ call }) => call === last) + 1;
  const first = starts.slice(0, until).map(({ id }) => laneOf.get(id));
  const count = (lane: Lane): number => first.filter((one) => one === lane).length;
  return { high: count('high'), normal: count('normal'), low: count('low') };
}

test('strict by default: while there is anything high, nothing else runs', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const shares = await sharesOf(stage, redis, { high: 300, normal: 20, low: 20 }, undefined);
  expect(shares).toEqual({ high: shares.high, normal: 0, low: 0 });
});

test('with a share of 20 % the low lane gets every fifth fetch while the high one is flooded', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const { high, normal, low } = await sharesOf(stage, redis, { high: 300, low: 160 }, 20);
  expect(normal).toBe(0);
  expect(low / (high + low)).toBeGreaterThanOrEqual(0.18);
  expect(low / (high + low)).toBeLessThanOrEqual(0.22);
});

test('with all three lanes flooded the two lower ones divide their share: neither starves behind the other', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const { high, normal, low } = await sharesOf(stage, redis, { high: 300, normal: 120, low: 120 }, 20);
  for (const lower of [normal, low]) {
    expect(lower / (high + normal + low)).toBeGreaterThanOrEqual(0.08);
    expect(lower / (high + normal + low)).toBeLessThanOrEqual(0.12);
  }
});
