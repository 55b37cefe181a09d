// The clock of Redis goes ahead and back: schedules tick on, nothing gets shorter, and what gets longer is bounded.

import { homeOf } from '../../src/store/keys.ts';
import { expect, test } from 'vitest';
import { createLog } from '../../src/log.ts';
import { runTicks } from '../../src/store/ticks.ts';
import { createSweepPlace } from '../../src/upkeep/sweep-place.ts';
import { buildScriptsWithClock } from '../support/model-clock.ts';
import { KEY, QUEUE } from '../support/scripted-queue.ts';
import { startStore } from '../support/store.ts';
import { openTicking, schedule, type Ticking } from '../support/ticking.ts';

const HOUR_MS = 3_600_000;

const { client } = await startStore(buildScriptsWithClock);

/** The scripts' own clock: the last that one of them has read. */
async function scriptsNow(): Promise<number> {
  const [wall, skew] = await client.hmget(`${KEY}:queue`, 'wall', 'skew');
  return Number(wall) + Number(skew);
}

async function jumpAndBack({ clock, tickAll }: Ticking, ms = HOUR_MS): Promise<void> {
  await clock.advance(ms);
  await tickAll();
  await clock.advance(-ms);
}

test('case 7: after the clock was an hour ahead, schedules tick on within their time', async () => {
  const ticking = await openTicking(client);
  const { clock, plan, plannedAt, tickAll } = ticking;
  // More than one sweep checks.
  for (let at = 0; at < 300; at += 1) await plan(`s${at}`, schedule({ everyMs: 60_000 }), clock.now() + at);
  await plan('cron', schedule({ cron: '* * * * *' }), clock.now());
  await plan('daily', schedule({ cron: '0 0 * * *' }), 86_400_000);
  await tickAll();
  await jumpAndBack(ticking);
  expect(await plannedAt('cron')).toBeGreaterThan(clock.now() + HOUR_MS - 60_000);

  const { reports } = await tickAll();

  expect(reports.filter(({ word }) => word === 'planned-anew')).toHaveLength(301);
  const next = (Math.floor(clock.now() / 60_000) + 1) * 60_000;
  for (const name of ['s0', 's299', 'cron']) expect(await plannedAt(name)).toBe(next);
  expect(await plannedAt('daily')).toBe(86_400_000);
  await clock.advance(next - clock.now());
  expect((await tickAll()).reports.filter(({ word }) => word === 'ran')).toHaveLength(301);
});

test('case 7: a clock that is set back by less than a tick may be late runs no tick twice', async () => {
  const ticking = await openTicking(client);
  const { clock, plan, tickAll } = ticking;
  await plan('second', schedule({ everyMs: 1_000 }), clock.now());
  const ran: number[] = [];
  for (const stepMs of [1_000, 1_000, -4_000, ...Array<number>(10).fill(1_000)]) {
    for (const report of (await tickAll()).reports) {
      if (report.word === 'ran')
        ran.push(Number((await client.hget(`${KEY}:last-runs`, 'second'))?.split(' ')[0]));
    }
    await clock.advance(stepMs);
  }
  expect(ran).toEqual([...new Set(ran)]);
  expect(ran.length).toBeGreaterThan(5);
});

test('case 7: a tick that is missing, or too far away for another reason, is planned within the hour', async () => {
  const { clock, plan, plannedAt, tickAll } = await openTicking(client);
  await tickAll();
  await plan('far', schedule({ everyMs: 60_000 }), clock.now() + 9e9);
  await plan('never', schedule({ everyMs: 60_000 }), 'inf');
  await plan('lost', schedule({ everyMs: 60_000 }));
  await plan('paused', schedule({ paused: true }));
  await clock.advance(HOUR_MS + 1);
  await tickAll();
  for (const name of ['far', 'never', 'lost'])
    expect(await plannedAt(name)).toBeLessThanOrEqual(clock.now() + 60_000);
  expect(await plannedAt('paused')).toBeUndefined();
});

test('case 7: with the clock set back a delay takes at most a ninth longer, and never less', async () => {
  const ticking = await openTicking(client);
  const { clock, enqueue, sweep, take } = ticking;
  await jumpAndBack(ticking);
  const [id] = await enqueue(1, { delayMs: 4_000 });
  const from = clock.now();
  for (;;) {
    await sweep();
    const [task] = await take(1);
    if (task) {
      expect(task.id).toBe(id);
      break;
    }
    await clock.advance(7);
  }
  expect(clock.now() - from).toBeGreaterThanOrEqual(4_000);
  expect(clock.now() - from).toBeLessThan(4_000 / 0.9 + 30);
});

test('case 7: the skew is paid back however often the clock is read, and the scripts’ clock never goes back', async () => {
  for (const stepMs of [1, 7, 10, 23, 1_000]) {
    const ticking = await openTicking(client);
    const { clock, sweep } = ticking;
    await jumpAndBack(ticking, 50);
    let last = await scriptsNow();
    let tookMs = 0;
    while ((await sweep()).skewMs > 0) {
      const now = await scriptsNow();
      expect(now).toBeGreaterThanOrEqual(last);
      last = now;
      await clock.advance(stepMs);
      tookMs += stepMs;
    }
    // A tenth of the time that passes.
    expect(tookMs).toBeGreaterThan(480 - stepMs);
    expect(tookMs).toBeLessThan(520 + stepMs);
    expect(await scriptsNow()).toBe(clock.now());
  }
});

test('case 7: a lease gets no shorter by a clock that goes ahead and back', async () => {
  const ticking = await openTicking(client, { leaseMs: 10_000 });
  const { clock, sweepAll, enqueue, worker, task } = ticking;
  await sweepAll();
  const [id = ''] = await enqueue(1);
  const { tasks } = await worker.claim([], 1);
  expect(tasks.map((one) => one.id)).toEqual([id]);
  await clock.advance(HOUR_MS);
  await sweepAll();
  await clock.advance(-HOUR_MS);
  for (let passed = 0; passed < 9_500; passed += 500) {
    await sweepAll();
    expect(await task(id)).toMatchObject({ state: 'running' });
    await clock.advance(500);
  }
});

test('case 7: the log says when the clock was set back, and when it is over', async () => {
  const ticking = await openTicking(client);
  const lines: string[] = [];
  const sweepAndTick = createSweepPlace({
    outbox: { settleMarks: async () => undefined },
    relay: { soon: () => undefined },
    confirm: async () => 0,
    confirmMembers: async () => 0,
    place: homeOf(QUEUE),
    sweep: () => ticking.sweep(),
    tick: (queue, swept) => runTicks(client, queue, swept),
    retryMs: 1_000,
    log: createLog('info', {}, { write: (line: string) => void lines.push(line) }),
  });
  await sweepAndTick();
  await jumpAndBack(ticking, 5_000);
  for (let sweeps = 0; sweeps < 60; sweeps += 1) {
    await sweepAndTick();
    await ticking.clock.advance(1_000);
  }
  expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual([
    expect.stringMatching(/^the clock of Redis was set back/),
    expect.stringMatching(/shows the time of day again$/),
  ]);
});
