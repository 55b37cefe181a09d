// Receivers that never answer hold up deliveries alone, never the tasks of others.
// POPFLEET_HANGS sets how many deliveries hang; `npm run test:webhook-hangs` measures with a thousand what other tasks wait.

import { expect, test } from 'vitest';
import { percentilesOf } from '../../src/load/percentiles.ts';
import { eventually } from '../support/eventually.ts';
import { openReceiver } from '../support/receiver.ts';
import { openStage } from '../support/stage.ts';
import { call, post } from '../support/http.ts';

const HANGS = Number(process.env['POPFLEET_HANGS'] ?? 0);
/** Deliveries that a server makes at the same time. */
const PLACES = 8;
const TASKS = HANGS > 0 ? 2_000 : 20;

test(`${HANGS || PLACES * 2} deliveries that hang: other tasks are picked up as before`, {
  timeout: 240_000,
}, async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const receiver = await openReceiver();
  stage.atEnd(receiver.close);
  receiver.answer = () => undefined;
  const places = HANGS > 0 ? 32 : PLACES;
  const env = {
    REDIS_URL: redis.url,
    WEBHOOK_ALLOW: '127.0.0.1',
    WEBHOOK_CONCURRENCY: String(places),
    HEARTBEAT_MS: '250',
  };
  const url = (await stage.role('server', env)).url();
  await stage.role('worker', env);

  /** One after the other: milliseconds from the call to its answer, which waits for the end of the task. */
  async function roundTrips(): Promise<number[]> {
    const times: number[] = [];
    for (let count = 0; count < TASKS; count += 1) {
      const begun = performance.now();
      const { body } = await post(`${url}/v1/tasks?wait=30`, { type: 'add', input: { one: 1, two: count } });
      expect(body['state']).toBe('succeeded');
      times.push(performance.now() - begun);
    }
    return times;
  }

  await roundTrips();
  const alone = await roundTrips();
  const hooked = Array.from({ length: HANGS || PLACES * 2 }, () => ({
    type: 'add',
    input: { one: 1, two: 2 },
    webhook: { url: receiver.url },
  }));
  const sent = await post(`${url}/v1/tasks/batch`, hooked);
  expect(sent.status).toBeLessThan(300);
  await eventually(() => receiver.received.length >= places);
  const beside = await roundTrips();
  const { counts } = (await call(`${url}/v1/queues/webhooks`)).body as { counts: Record<string, number> };
  expect(counts['running']).toBeGreaterThan(0);
  const [p99Alone = 0, p99Beside = 0] = [alone, beside].map((times) => percentilesOf(times)?.p99);
  console.info('hanging receivers', { hangs: hooked.length, tasks: TASKS, p99Alone, p99Beside });
  if (HANGS > 0) expect(p99Beside).toBeLessThanOrEqual(1.5 * p99Alone);
});
