// Receivers that never answer hold up deliveries alone, never the tasks of others.
// POPFLEET_HANGS sets how many deliveries hang; `npm run test:webhook-hangs` measures with a thousand what other tasks wait.

import { expect, test } from 'vitest';
import { percentilesOf } from '../../src/load/percentiles.ts';
import { eventually } from '../support/eventually.ts';
import { call, post } from '../support/http.ts';
import { openReceiver } from '../support/receiver.ts';
import { openStage, type Stage } from '../support/stage.ts';

const HANGS = Number(process.env['POPFLEET_HANGS'] ?? 16);
/** It compares waits only when it is told how many shall hang: a small run says nothing about them. */
const MEASURES = process.env['POPFLEET_HANGS'] !== undefined;
/** Deliveries that a server makes at the same time. */
const PLACES = MEASURES ? 32 : 8;
const TASKS = MEASURES ? 3_000 : 20;

/** @returns URL of the server of a fleet of its own, with one worker */
async function openFleet(stage: Stage): Promise<string> {
  const redis = await stage.redis();
  const env = {
    REDIS_URL: redis.url,
    WEBHOOK_ALLOW: '127.0.0.1',
    WEBHOOK_CONCURRENCY: String(PLACES),
    HEARTBEAT_MS: '250',
  };
  const start = MEASURES ? stage.role : stage.here;
  const server = await start('server', env);
  await start('worker', env);
  return server.url();
}

/** Milliseconds from sending a task to the answer that it has ended. */
async function roundTrip(url: string): Promise<number> {
  const begun = performance.now();
  const { body } = await post(`${url}/v1/tasks?wait=30`, { type: 'add', input: { one: 1, two: 2 } });
  expect(body['state']).toBe('succeeded');
  return performance.now() - begun;
}

test(`${HANGS} deliveries that hang: other tasks are picked up as before`, {
  timeout: 600_000,
}, async (context) => {
  const stage = openStage(context);
  const receiver = await openReceiver();
  stage.atEnd(receiver.close);
  receiver.answer = () => undefined;
  const [hanging, quiet] = [await openFleet(stage), await openFleet(stage)];
  const webhook = { url: receiver.url };
  const hooked = Array.from({ length: HANGS }, () => ({ type: 'add', input: { one: 1, two: 2 }, webhook }));
  expect((await post(`${hanging}/v1/tasks/batch`, hooked)).status).toBeLessThan(300);
  const countsOf = async (): Promise<Record<string, number>> =>
    (await call(`${hanging}/v1/queues/webhooks`)).body['counts'] as Record<string, number>;
  // The tasks that they are about stand in nobody's way any more.
  await eventually(
    async () => (await countsOf())['accepted'] === HANGS && receiver.received.length >= PLACES,
  );
  const beside: number[] = [];
  const alone: number[] = [];
  // In turns, so that whatever else this machine does holds up both alike.
  for (let count = 0; count < TASKS; count += 1) {
    alone.push(await roundTrip(quiet));
    beside.push(await roundTrip(hanging));
  }
  expect(await countsOf()).toMatchObject({ accepted: HANGS, succeeded: 0, dead: 0 });
  const [waitsAlone, waitsBeside] = [percentilesOf(alone), percentilesOf(beside)];
  console.info('hanging receivers', { hangs: HANGS, tasks: TASKS, alone: waitsAlone, beside: waitsBeside });
  if (MEASURES) expect(waitsBeside?.p99).toBeLessThanOrEqual(1.5 * (waitsAlone?.p99 ?? 0));
});
