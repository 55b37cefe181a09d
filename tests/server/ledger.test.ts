// What shows that a queue is whole, by HTTP.

import { expect, test } from 'vitest';
import { call, post } from '../support/http.ts';
import { readyKey } from '../support/queue-key.ts';
import { withServer } from '../support/with-server.ts';

const { url, redis, worker } = withServer();

const send = (queue: string): Promise<unknown> =>
  post(`${url()}/v1/tasks`, { type: 'add', input: { one: 1, two: 2 }, queue });

test('counts, messages and their copies, read at one moment', async () => {
  for (let count = 0; count < 3; count += 1) await send('default');
  await worker().end(await worker().take(), 'succeeded', 3);
  await redis().client.rpop(readyKey('default', 'normal'));
  const { status, body } = await call(`${url()}/v1/queues/default/ledger`);
  expect(status).toBe(200);
  expect(body).toMatchObject({
    queue: 'default',
    counts: { accepted: 3, ready: 2, running: 0, succeeded: 1, removed: 0 },
    imbalance: 0,
    lanes: { high: { messages: 0, copies: 0 }, normal: { messages: 1, copies: 2 } },
    repaired: 0,
    stale: 0,
    malformed: 0,
  });
  await redis().client.hincrby('pf:{default}:count', 'accepted', 2);
  expect((await call(`${url()}/v1/queues/default/ledger`)).body['imbalance']).toBe(2);
  expect((await call(`${url()}/v1/queues/nothing/ledger`)).status).toBe(404);
});
