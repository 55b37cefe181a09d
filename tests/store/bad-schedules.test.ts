// One record that cannot be read does not stop its neighbours, is looked at again an hour later, and can be replaced.

import { expect, test } from 'vitest';
import { encodeCbor } from '../../src/protocol/cbor.ts';
import { createSchedules } from '../../src/store/schedules.ts';
import { buildScriptsWithClock } from '../support/model-clock.ts';
import { KEY, QUEUE } from '../support/scripted-queue.ts';
import { startStore } from '../support/store.ts';
import { openTicking, schedule } from '../support/ticking.ts';

const HOUR_MS = 3_600_000;

const { client } = await startStore(buildScriptsWithClock);

const BAD: readonly [string, Buffer][] = [
  ['no CBOR', Buffer.from([0xff, 0x00, 0x01])],
  ['nothing', Buffer.alloc(0)],
  ['an endless array', Buffer.alloc(2_000, 0x81)],
  ['text', encodeCbor('hello')],
  ['null', encodeCbor(null)],
  ['a list', encodeCbor([1, 2])],
  ['an empty map', encodeCbor({})],
  ['no timing', encodeCbor({ type: 'add', input: {} })],
  ['a wrong pattern', encodeCbor({ ...schedule(), everyMs: undefined, cron: 'never' })],
  ['a wrong zone', encodeCbor({ ...schedule({ cron: '@daily' }), timeZone: 'Mars/Base' })],
  ['no type', encodeCbor({ ...schedule(), type: '' })],
  ['a type that is no text', encodeCbor({ ...schedule(), type: 5 })],
  ['an unknown lane', encodeCbor({ ...schedule(), priority: 'urgent' })],
];

test.each(BAD)('case 5: %s as definition does not stop its neighbours', async (_, bytes) => {
  const { plan, tickAll, clock, plannedAt } = await openTicking(client);
  const { now } = clock;
  await plan('a-good', schedule(), now());
  await plan('bad', bytes, 1);
  await plan('z-good', schedule(), now());
  const { reports } = await tickAll();
  expect(reports.map(({ name, word }) => `${name} ${word}`).toSorted()).toEqual([
    'a-good ran',
    'bad faulty',
    'z-good ran',
  ]);
  // Not again and again.
  expect((await tickAll()).reports).toEqual([]);
  expect(await plannedAt('bad')).toBe(now() + HOUR_MS);
  // A later release may be able to read it.
  await clock.advance(HOUR_MS);
  expect((await tickAll()).reports).toContainEqual(expect.objectContaining({ name: 'bad', word: 'faulty' }));
  expect(await client.hgetBuffer(`${KEY}:schedules`, 'bad')).toEqual(bytes);

  await client.sadd('pf:queues', QUEUE);
  const schedules = createSchedules(client);
  const list = await schedules.list();
  expect(list.map(({ name, fault }) => [name, typeof fault])).toEqual([
    ['a-good', 'undefined'],
    ['bad', 'string'],
    ['z-good', 'undefined'],
  ]);
  expect(await schedules.find('bad')).toMatchObject({ schedule: undefined });
  // Writing it again heals it.
  await schedules.put(QUEUE, 'bad', schedule());
  expect(await schedules.find('bad')).toMatchObject({ fault: undefined, schedule: { type: 'add' } });
  await client.hset(`${KEY}:schedules`, 'bad', bytes);
  expect(await schedules.delete('bad')).toBe(true);
  expect((await schedules.list()).map(({ name }) => name)).toEqual(['a-good', 'z-good']);
});

test('case 5: a tick of no schedule is dropped, its neighbours tick', async () => {
  const { plan, tickAll, clock, plannedAt } = await openTicking(client);
  await plan('gone', undefined, 1);
  await plan(Buffer.from([0xff, 0xfe]), undefined, 1);
  await plan('good', schedule(), clock.now());
  const { reports } = await tickAll();
  expect(reports.map(({ word }) => word).toSorted()).toEqual(['orphan', 'orphan', 'ran']);
  expect(await client.zrange(`${KEY}:ticks`, '0', '-1')).toEqual(['good']);
  expect(await plannedAt('good')).toBeGreaterThan(clock.now());
});

test.each(['-inf', '1.5', '-7'])('case 5: a tick planned for %s is planned anew', async (due) => {
  const { plan, tickAll, clock, plannedAt } = await openTicking(client);
  await plan('odd', schedule(), due);
  expect((await tickAll()).reports).toMatchObject([{ name: 'odd', word: 'planned-anew' }]);
  expect(await plannedAt('odd')).toBe((Math.floor(clock.now() / 60_000) + 1) * 60_000);
});

test.each(['', 'x', '5', `${'9'.repeat(30)} ${'a'.repeat(36)}`, '1 <script>', '\xff'])(
  'case 5: a last run that is %j is shown as such, and the schedule ticks on',
  async (text) => {
    const { plan, tickAll, clock } = await openTicking(client);
    await client.sadd('pf:queues', QUEUE);
    await plan('ticks', schedule(), clock.now());
    await client.hset(`${KEY}:last-runs`, 'ticks', text);
    await client.hset(`${KEY}:skipped`, 'ticks', text);
    const schedules = createSchedules(client);
    const [shown] = await schedules.list();
    expect(shown).toMatchObject({ fault: 'its last run cannot be read', lastRun: undefined });
    expect(shown?.schedule).toBeDefined();
    expect((await tickAll()).reports).toMatchObject([{ word: 'ran' }]);
    expect(await schedules.find('ticks')).toMatchObject({ fault: undefined, lastRun: { due: clock.now() } });
  },
);

test('case 5: a schedule whose name is no UTF-8 is listed, and goes', async () => {
  const { plan } = await openTicking(client);
  await client.sadd('pf:queues', QUEUE);
  await plan(Buffer.from([0x62, 0xff]), schedule(), 1e13);
  const schedules = createSchedules(client);
  const [{ name } = { name: '' }] = await schedules.list();
  expect(await schedules.find(name)).toMatchObject({ fault: undefined });
  expect(await schedules.delete(name)).toBe(true);
  expect(await client.exists(`${KEY}:schedules`, `${KEY}:ticks`)).toBe(0);
});
