// The example of an order: a person approves it, or does not, and each step is done once.

import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { post } from '../support/http.ts';
import { finished, linesOf, look, run, send } from '../support/life.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { type RoleHere, startHere, stopHere } from '../support/start-here.ts';

const TASKS = fileURLToPath(new URL('../../examples/order/order.mjs', import.meta.url));

let redis: TestRedis;
let server: RoleHere;
let worker: RoleHere;
let url: string;

beforeAll(async () => {
  redis = await startRedis();
  const variables = { TASKS, REDIS_URL: redis.url };
  [server, worker] = await Promise.all([startHere('server', variables), startHere('worker', variables)]);
  url = server.url();
});
afterAll(async () => {
  await stopHere(worker);
  await stopHere(server);
  await redis?.stop();
});

test.each([
  [{ approved: true, by: 'ann' }, { delivered: true, approvedBy: 'ann' }, 'deliver'],
  [{ approved: false }, { delivered: false, reason: 'it was refused' }, 'putBack'],
])('an order for which a person answers %j', async (payload, result, last) => {
  const id = await send(url, 'order', { order: 'A1' });
  await eventually(async () => (await look(url, id)).state === 'waiting');
  expect((await post(`${url}/v1/waitpoints/${id}.approval`, { payload })).status).toBe(200);
  expect((await finished(url, id)).result).toEqual({ ...result, done: ['confirm', 'prepare', last] });
  // Confirmed, packed, the line for the person, and the last step: none of them twice.
  expect(await linesOf(url, id)).toHaveLength(4);
});

test('an order that nobody approves in time', async () => {
  const { state, result } = await run(url, 'order', { order: 'A2', approveWithinMs: 1 });
  expect({ state, result }).toMatchObject({
    state: 'succeeded',
    result: { delivered: false, done: ['confirm', 'prepare', 'putBack'] },
  });
});
