// What is kept of a schedule that is written again, paused or moved.

import { homeOf } from '../../src/store/keys.ts';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { encodeCbor } from '../../src/protocol/cbor.ts';
import type { Schedule } from '../../src/protocol/schedule.ts';
import { createSchedules } from '../../src/store/schedules.ts';
import { createSweeper } from '../../src/store/sweeper.ts';
import { runTicks, type TickReport } from '../../src/store/ticks.ts';
import { startStore } from '../support/store.ts';
import { schedule } from '../support/ticking.ts';

const NAME = 'report';
const QUEUE = 'kept';
const KEY = `pf:{${QUEUE}}`;
const HOUR_MS = 3_600_000;
const TASK = '01920000-0000-7000-8000-000000000000';

const { client } = await startStore();
const schedules = createSchedules(client);

beforeEach(async () => {
  await client.flushall();
});
afterEach(() => {
  vi.restoreAllMocks();
});

const daily = (more: object = {}): Schedule => schedule({ cron: '0 0 * * *', queue: QUEUE, ...more });

/** Has something else happen once, between what a change reads and what it writes. */
function whileChanging(meanwhile: () => Promise<unknown>): void {
  vi.spyOn(client, 'time').mockImplementationOnce(async () => {
    await meanwhile();
    return client.time();
  });
}

/** Everything that is stored of schedules, in bytes. */
async function stored(queue = QUEUE): Promise<unknown> {
  const key = `pf:{${queue}}`;
  return Promise.all([
    ...['schedules', 'parked', 'lastrun', 'skipped'].map((name) => client.hgetallBuffer(`${key}:${name}`)),
    client.zrange(`${key}:ticks`, '0', '-1', 'WITHSCORES'),
  ]);
}

async function plannedAt(queue = QUEUE): Promise<number | undefined> {
  const score = await client.zscore(`pf:{${queue}}:ticks`, NAME);
  return score === null ? undefined : Number(score);
}

/** Sets the planned tick of a schedule to a time that has passed: no worker was there. */
async function miss(byMs = HOUR_MS): Promise<number> {
  const due = Date.now() - byMs;
  await client.zadd(`${KEY}:ticks`, 'XX', due, NAME);
  return due;
}

async function tick(queue = QUEUE): Promise<TickReport[]> {
  await client.hdel(`pf:{${queue}}:queue`, 'sweep_at');
  const settings = { leaseMs: 1e6, slice: 100, popGraceMs: 2_000, retentionMs: 1e12, retentionBytes: 0 };
  const swept = await createSweeper(client, { ...settings, periodMs: 1_000 })(homeOf(queue));
  return runTicks(client, queue, swept);
}

describe('an unchanged definition', () => {
  test.each<[string, Schedule | object]>([
    ['as it was', {}],
    [
      'with its defaults spelled out',
      { timeZone: 'UTC', misfire: 'once', paused: false, priority: 'normal' },
    ],
    ['with blanks around its pattern', { cron: ' 0 0 * * * ' }],
    ['with another order of keys', { input: { two: 2, one: 1 } }],
  ])('case 49: put again %s changes nothing, and a missed run is run', async (_, more) => {
    await schedules.put(QUEUE, NAME, daily({ misfire: 'once' }));
    await client.hset(`${KEY}:last-runs`, NAME, `1 ${TASK}`);
    await miss();
    const before = await stored();
    expect(await schedules.put(QUEUE, NAME, daily({ misfire: 'once', ...more }))).toEqual({
      isNew: false,
      skipped: undefined,
    });
    expect(await stored()).toEqual(before);
    expect(await tick()).toMatchObject([{ word: 'ran' }]);
  });

  test('case 49: whoever wrote its bytes, they stay', async () => {
    const { cron, ...rest } = daily();
    const bytes = encodeCbor({ ...rest, cron });
    await schedules.put(QUEUE, NAME, daily());
    await client.hset(`${KEY}:schedules`, NAME, bytes);
    await schedules.put(QUEUE, NAME, daily());
    expect(await client.hgetBuffer(`${KEY}:schedules`, NAME)).toEqual(bytes);
  });

  test('case 49: a tick that has got lost is planned', async () => {
    await schedules.put(QUEUE, NAME, daily());
    const planned = await plannedAt();
    await client.zrem(`${KEY}:ticks`, NAME);
    await schedules.put(QUEUE, NAME, daily());
    expect(await plannedAt()).toBe(planned);
  });
});

describe('a changed definition', () => {
  test('case 49: keeps the tick that was missed, the last run and what was skipped', async () => {
    await schedules.put(QUEUE, NAME, daily({ misfire: 'once' }));
    await client.hset(`${KEY}:last-runs`, NAME, `1 ${TASK}`);
    await client.hset(`${KEY}:skipped`, NAME, '7 1 2');
    const due = await miss();
    await schedules.put(QUEUE, NAME, daily({ misfire: 'once', input: { one: 5, two: 6 } }));
    expect(await plannedAt()).toBe(due);
    await schedules.put(QUEUE, NAME, schedule({ everyMs: HOUR_MS, misfire: 'once', queue: QUEUE }));
    expect(await plannedAt()).toBe(due);
    expect(await schedules.find(NAME)).toMatchObject({
      lastRun: { due: 1, task: TASK },
      skipped: { count: 7, from: 1, until: 2 },
    });
    expect(await tick()).toMatchObject([{ word: 'ran' }]);
    expect(((await plannedAt()) ?? 0) - Date.now()).toBeLessThanOrEqual(HOUR_MS);
  });

  test('case 49: to other times plans the next one anew when it is to come', async () => {
    await schedules.put(QUEUE, NAME, daily());
    await schedules.put(QUEUE, NAME, schedule({ everyMs: 1_000, queue: QUEUE }));
    expect(((await plannedAt()) ?? 0) - Date.now()).toBeLessThanOrEqual(1_000);
  });

  test('case 49: in another queue, everything goes with it', async () => {
    await schedules.put(QUEUE, NAME, daily({ misfire: 'once' }));
    await client.hset(`${KEY}:last-runs`, NAME, `1 ${TASK}`);
    const due = await miss();
    await schedules.put('other', NAME, daily({ misfire: 'once', queue: 'other' }));
    expect(await client.exists(`${KEY}:schedules`, `${KEY}:ticks`, `${KEY}:last-runs`)).toBe(0);
    expect(await plannedAt('other')).toBe(due);
    expect(await schedules.find(NAME)).toMatchObject({ queue: 'other', lastRun: { task: TASK } });
    expect(await tick('other')).toMatchObject([{ word: 'ran' }]);
  });

  test('case 49: of many callers at the same time, none undoes what a tick has done', async () => {
    await schedules.put(QUEUE, NAME, daily({ misfire: 'once' }));
    await miss();
    const inputs = Array.from({ length: 8 }, (_, one) => ({ one, two: 2 }));
    await Promise.all([
      ...inputs.map((input) => schedules.put(QUEUE, NAME, daily({ misfire: 'once', input }))),
      tick(),
    ]);
    await tick();
    expect(await client.hget(`${KEY}:count`, 'accepted')).toBe('1');
    expect(await plannedAt()).toBeGreaterThan(Date.now());
  });
});

describe('a pause', () => {
  test.each([
    ['once', 'ran', undefined],
    ['skip', undefined, 3],
  ])(
    'case 49: with misfire %s, ticks that were missed in it follow the policy',
    async (misfire, word, count) => {
      const one = schedule({ everyMs: HOUR_MS, queue: QUEUE, misfire });
      await schedules.put(QUEUE, NAME, one);
      // Three of them: two hours ago, one hour ago, and at the last full hour.
      await miss((Date.now() % HOUR_MS) + 2 * HOUR_MS);
      await schedules.put(QUEUE, NAME, { ...one, paused: true });
      expect(await tick()).toEqual([]);
      // Put again while it is paused: nothing changes.
      const before = await stored();
      await schedules.put(QUEUE, NAME, { ...one, paused: true });
      expect(await stored()).toEqual(before);

      const { skipped } = await schedules.put(QUEUE, NAME, { ...one, paused: false });
      expect(skipped?.count).toBe(count);
      expect((await schedules.find(NAME))?.skipped?.count).toBe(count);
      expect((await tick()).map((report) => report.word)).toEqual(word === undefined ? [] : [word]);
      const next = (await plannedAt()) ?? 0;
      expect(next).toBeGreaterThan(Date.now());
      expect(next % HOUR_MS).toBe(0);
    },
  );

  test('case 49: in which nothing was missed changes nothing', async () => {
    await schedules.put(QUEUE, NAME, daily());
    const before = await stored();
    await schedules.put(QUEUE, NAME, daily({ paused: true }));
    expect(await plannedAt()).toBeUndefined();
    await schedules.put(QUEUE, NAME, daily({ paused: false }));
    expect(await stored()).toEqual(before);
  });

  test('changes what is there when it is written, and brings nothing back that was deleted', async () => {
    await schedules.put(QUEUE, NAME, daily());
    const seen: unknown[] = [];
    const here = { queue: (queue: string): boolean => queue === QUEUE };
    const change = (meanwhile: () => Promise<unknown>): ReturnType<typeof schedules.change> => {
      whileChanging(meanwhile);
      return schedules.change(NAME, here, (old) => {
        seen.push(old);
        if (typeof old === 'string') throw new Error(old);
        return { ...old, paused: true };
      });
    };
    const other = { one: 7, two: 7 };
    const changed = await change(() => schedules.put(QUEUE, NAME, daily({ input: other, misfire: 'once' })));
    expect([changed, seen]).toMatchObject([{ queue: QUEUE, isNew: false }, [{}, { input: other }]]);
    expect((await schedules.find(NAME))?.schedule).toMatchObject({
      input: other,
      misfire: 'once',
      paused: true,
    });
    expect(await change(() => schedules.delete(NAME))).toBeUndefined();
    expect(await stored()).toEqual([{}, {}, {}, {}, []]);
  });

  test('case 49: of an earlier release, which kept no tick, ends with the next one', async () => {
    await schedules.put(QUEUE, NAME, daily({ paused: true }));
    await client.del(`${KEY}:parked`);
    await schedules.put(QUEUE, NAME, daily());
    expect(await plannedAt()).toBeGreaterThan(Date.now());
  });
});
