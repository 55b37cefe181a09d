// More ticks at the same time than fit into one call: none is late for that, and what is dropped is counted.

import { homeOf } from '../../src/store/keys.ts';
import { expect, test } from 'vitest';
import { LONGEST_CATCH_UP_MS, MISSED_AFTER_MS } from '../../src/protocol/schedule.ts';
import { createSweeper } from '../../src/store/sweeper.ts';
import { runTicks } from '../../src/store/ticks.ts';
import { createSweepPlace } from '../../src/upkeep/sweep-place.ts';
import { createLog } from '../../src/log.ts';
import { buildScriptsWithClock } from '../support/model-clock.ts';
import { countsOf } from '../support/moves.ts';
import { KEY, LEASE_MS, QUEUE } from '../support/scripted-queue.ts';
import { startStore } from '../support/store.ts';
import { openTicking, schedule, type Ticking } from '../support/ticking.ts';

const SLICE = 10;
const MANY = 95;

const { client } = await startStore(buildScriptsWithClock);

async function planMany({ plan, clock }: Ticking, more: object = {}): Promise<number> {
  const due = clock.now() + 500;
  for (let at = 0; at < MANY; at += 1) await plan(`s${at}`, schedule(more), due);
  return due;
}

test('case 1: what is left of many ticks is due again at once, and each makes its task', async () => {
  const ticking = await openTicking(client);
  await planMany(ticking);
  await ticking.clock.advance(500);
  const { sweeps, reports } = await ticking.tickAll();
  expect(sweeps.map(({ ticks }) => ticks.length)).toEqual([...Array<number>(9).fill(SLICE), 5]);
  expect(sweeps.map(({ nextMs }) => nextMs === 0)).toEqual([...Array<boolean>(9).fill(true), false]);
  expect(reports.map(({ word }) => word)).toEqual(Array(MANY).fill('ran'));
  expect(await countsOf(client, QUEUE)).toEqual({ accepted: MANY, ready: MANY });
});

test('case 1: workers that sweep at the same time are given different ticks', async () => {
  const ticking = await openTicking(client);
  await planMany(ticking);
  await ticking.clock.advance(500);
  const [one, other] = [await ticking.sweep(), await ticking.sweep()];
  const names = [...one.ticks, ...other.ticks].map(({ name }) => name.toString());
  expect(new Set(names).size).toBe(2 * SLICE);
  // Both are behind: what is left is due at once.
  expect([one.nextMs, other.nextMs]).toEqual([0, 0]);
  // The second one is faster; then the first one dies, and its ticks are named again.
  expect(await runTicks(client, QUEUE, other)).toHaveLength(SLICE);
  await ticking.clock.advance(500);
  const { reports } = await ticking.tickAll();
  expect(reports.filter(({ word }) => word === 'ran')).toHaveLength(MANY - SLICE);
  expect(await countsOf(client, QUEUE)).toEqual({ accepted: MANY, ready: MANY });
});

test('case 1: ticks that are late because others were before them are not missed', async () => {
  const ticking = await openTicking(client);
  const due = await planMany(ticking, { misfire: 'skip' });
  await ticking.clock.advance(500);
  // The last ones are later than a tick may be when the fleet was away.
  const { reports } = await ticking.tickAll(() => ticking.clock.advance(MISSED_AFTER_MS / 3));
  expect(ticking.clock.now() - due).toBeGreaterThan(2 * MISSED_AFTER_MS);
  expect(reports.filter(({ word }) => word === 'ran')).toHaveLength(MANY);
  // It does not count for ever: with the next ones nothing is worked off.
  expect(await client.hexists(`${KEY}:queue`, 'behind_since')).toBe(0);
});

test('case 1: a fleet that can never keep up skips what is a minute late, and says so', async () => {
  const ticking = await openTicking(client);
  await planMany(ticking, { misfire: 'skip', everyMs: 3_600_000 });
  await ticking.clock.advance(500);
  const { reports } = await ticking.tickAll(() => ticking.clock.advance(LONGEST_CATCH_UP_MS / 5));
  expect(reports.filter(({ word }) => word === 'ran').length).toBeGreaterThanOrEqual(5 * SLICE);
  expect(reports.filter(({ word }) => word === 'skipped').length).toBeGreaterThanOrEqual(3 * SLICE);
});

test('case 1: definitions too large for one answer are a slice too', async () => {
  const { plan, tickAll, clock } = await openTicking(client);
  for (let at = 0; at < 5; at += 1) {
    await plan(`large${at}`, schedule({ input: { text: 'x'.repeat(600_000) } }), clock.now());
  }
  const { sweeps } = await tickAll();
  expect(sweeps.map(({ ticks }) => ticks.length)).toEqual([2, 2, 1]);
  expect(await countsOf(client, QUEUE)).toEqual({ accepted: 5, ready: 5 });
});

test('case 1: ticks that are skipped are counted with their schedule', async () => {
  const { plan, tickAll, clock, plannedAt } = await openTicking(client);
  const due = 1_020_000; // A full minute of the model's clock.
  await plan('interval', schedule({ everyMs: 1_000 }), due);
  await plan('cron', schedule({ cron: '* * * * *' }), due);
  await plan('once', schedule({ everyMs: 1_000, misfire: 'once' }), due);
  await clock.advance(due + 180_000 - clock.now());
  const { reports } = await tickAll();
  expect(reports.map(({ name, word }) => `${name} ${word}`).toSorted()).toEqual([
    'cron skipped',
    'interval skipped',
    'once ran',
  ]);
  expect(await client.hgetall(`${KEY}:skipped`)).toEqual({
    interval: `181 ${due} ${due + 180_000}`,
    cron: `4 ${due} ${due + 180_000}`,
  });
  expect(await plannedAt('cron')).toBe(due + 240_000);
  // Further ones are added to those before.
  await clock.advance(70_000);
  await tickAll();
  expect(await client.hget(`${KEY}:skipped`, 'cron')).toBe(`5 ${due + 240_000} ${due + 240_000}`);
});

test('case 1: while Redis is full ticks wait, the sweep goes on, and the log says so once', async () => {
  const ticking = await openTicking(client);
  await planMany(ticking, { misfire: 'once' });
  await ticking.clock.advance(500);
  const lines: string[] = [];
  const settings = {
    leaseMs: LEASE_MS,
    slice: SLICE,
    popGraceMs: 2_000,
    retentionMs: 1e12,
    retentionBytes: 0,
  };
  const retryMs = 400;
  const sweep = createSweepPlace({
    outbox: { settleMarks: async () => undefined },
    relay: { soon: () => undefined },
    confirm: async () => 0,
    confirmMembers: async () => 0,
    place: homeOf(QUEUE),
    sweep: createSweeper(client, { ...settings, periodMs: 1_000 }),
    tick: (queue, swept) => runTicks(client, queue, swept),
    retryMs,
    log: createLog('info', {}, { write: (line: string) => void lines.push(line) }),
  });
  await client.config('SET', 'maxmemory', '1');
  expect((await sweep()).ticks).toHaveLength(SLICE);
  // Nothing is due at once any more, and nothing of ticks is asked for.
  expect(await sweep()).toMatchObject({ ticks: [], plans: [] });
  expect((await sweep()).nextMs).toBeGreaterThan(0);
  await client.config('SET', 'maxmemory', '0');
  for (
    let swept = await sweep();
    (await countsOf(client, QUEUE))['accepted'] !== MANY;
    swept = await sweep()
  ) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    await ticking.clock.advance(swept.nextMs);
  }
  expect(lines.filter((line) => line.includes('ticks of schedules failed'))).toHaveLength(1);
});
