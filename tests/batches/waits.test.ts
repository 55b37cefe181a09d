// The end of a batch: long polls and the event stream hear of it.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { Popfleet } from '../../src/client/client.ts';
import { call, post } from '../support/http.ts';
import { LIFE_TASKS } from '../support/life.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { type RoleHere, startHere, stopHere } from '../support/start-here.ts';

const NOBODY = '01a2b3c4-0000-7000-8000-000000000000';

let redis: TestRedis;
let roles: RoleHere[];
let url: string;
let client: Popfleet;

beforeAll(async () => {
  redis = await startRedis();
  const env = { ...LIFE_TASKS, REDIS_URL: redis.url };
  roles = await Promise.all([startHere('server', env), startHere('worker', env)]);
  url = String(roles[0]?.url());
  client = new Popfleet({ url });
});
afterAll(async () => {
  await stopHere(...(roles ?? []));
  await redis?.stop();
});

test('a long poll and the events of a batch tell of its end, and of the next one once its dead tasks were retried', async () => {
  const { id } = await client.batches.open({});
  const sent = await client.batches.add(id, [
    { type: 'flaky', input: { failures: 1 }, maxAttempts: 1 },
    { type: 'flaky', input: { failures: 0 } },
  ]);
  const told: unknown[] = [];
  const startedAt = performance.now();
  const polled = call(`${url}/v1/batches/${id}?wait=55`);
  for await (const { name, data } of client.follow({ topics: [`batch:${id}`] })) {
    if (name !== 'batch') continue;
    told.push(data);
    if (told.length === 1) await client.batches.close(id);
    if (data.state === 'dead') {
      expect(await polled).toMatchObject({ status: 200, body: { id, state: 'dead', counts: { dead: 1 } } });
      const input = { failures: 0 };
      expect((await post(`${url}/v1/tasks/${sent.items[0]?.id}/retry`, { input })).status).toBe(202);
    }
    if (data.state === 'succeeded') break;
  }
  // Otherwise the poll was answered because its time was over.
  expect(performance.now() - startedAt).toBeLessThan(50_000);
  const at = expect.any(String) as string;
  expect(told).toEqual(
    ['open', 'dead', 'succeeded'].map((state) => ({ queue: 'default', batch: id, state, at })),
  );
  expect(await client.batches.wait(id)).toMatchObject({ state: 'succeeded' });
});

test('a batch that is closed without tasks has ended; one that stays open is answered as it is', async () => {
  const { id } = await client.batches.open({});
  const polled = await call(`${url}/v1/batches/${id}?wait=1`);
  expect([polled.headers.get('preference-applied'), polled.body['state']]).toEqual(['wait=1', 'open']);
  const waiting = client.batches.wait(id);
  await client.batches.close(id);
  expect(await waiting).toMatchObject({ state: 'succeeded', counts: { members: 0 } });
});

test('what cannot be waited for is refused', async () => {
  const statusOf = async (path: string): Promise<number> => (await call(`${url}/v1/${path}`)).status;
  expect(await statusOf(`batches/${NOBODY}?wait=1`)).toBe(404);
  expect(await statusOf(`batches/${NOBODY}?wait=soon`)).toBe(400);
  expect(await statusOf(`batches/${NOBODY}?weit=1`)).toBe(400);
  expect(await statusOf(`events?topics=batch:${NOBODY}`)).toBe(404);
  expect(await statusOf('events?topics=batch:1')).toBe(400);
});
