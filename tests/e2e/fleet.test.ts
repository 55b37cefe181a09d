// The whole program: servers and workers as processes, over a real Redis.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { endAll, type RoleProcess, startRole } from '../support/fleet.ts';
import { call, post } from '../support/http.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';

let redis: TestRedis;
let server: RoleProcess;
const workers: RoleProcess[] = [];

beforeAll(async () => {
  redis = await startRedis();
  const env = { REDIS_URL: redis.url, TASK_DURATION_MS: '100', CONCURRENCY: '2' };
  server = await startRole('server', env);
  for (let count = 0; count < 3; count += 1) workers.push(await startRole('worker', env));
});

afterAll(async () => {
  await endAll([server, ...workers]);
  await redis?.stop();
});

test('row 10: three workers drain one queue at the same time, each takes its part', async () => {
  const sent = await Promise.all(
    Array.from({ length: 120 }, (_, one) => post(`${server.url()}/add`, { one, two: 1 })),
  );
  expect(new Set(sent.map(({ status }) => status))).toEqual(new Set([202]));

  const finished = await Promise.all(
    sent.map(async ({ body }) => (await call(`${server.url()}/v1/tasks/${String(body['id'])}?wait=20`)).body),
  );
  expect(finished.map((task) => task['result'])).toEqual(Array.from({ length: 120 }, (_, one) => one + 1));
  const shares = new Map<string, number>();
  for (const task of finished) {
    const worker = String(task['worker']);
    shares.set(worker, (shares.get(worker) ?? 0) + 1);
  }
  expect([...shares.keys()].toSorted()).toEqual(workers.map((worker) => worker.worker()).toSorted());
  for (const share of shares.values()) expect(share).toBeGreaterThan(10);

  await eventually(async () => {
    const { body } = await call(`${server.url()}/v1/queues/default`);
    expect(body['counts']).toMatchObject({ accepted: 120, succeeded: 120, ready: 0, running: 0 });
    return true;
  });
});
