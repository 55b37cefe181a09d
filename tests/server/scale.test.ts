// How many workers a queue wants, by HTTP.

import { expect, test } from 'vitest';
import { announce } from '../../src/store/announcement.ts';
import { call, post } from '../support/http.ts';
import { openStore } from '../support/store.ts';
import { withServer } from '../support/with-server.ts';

const { url, redis, worker } = withServer();

async function send(queue: string, options: object = {}): Promise<void> {
  const task = { type: 'add', input: { one: 1, two: 2 }, queue, ...options };
  expect((await post(`${url()}/v1/tasks`, task)).status).toBe(202);
}

async function scale(query: string): Promise<Record<string, unknown>> {
  const { status, body } = await call(`${url()}/v1/scale${query}`);
  expect(status).toBe(200);
  return body;
}

test('a queue with what its workers follow from; without a queue all of them', async () => {
  for (let count = 0; count < 6; count += 1) await send('default');
  await send('mail', { delayMs: 10_000 });
  await send('mail', { delayMs: 60_000 });
  await worker().take();
  const client = await openStore(redis().url);
  await announce(client, 'default', 'w1', {
    host: 'h',
    pid: 1,
    startedAt: 0,
    version: '1',
    threads: 2,
    types: [],
    concurrency: 2,
  });
  client.disconnect();
  expect(await scale('?queue=default&waitSeconds=60')).toEqual({
    queue: 'default',
    value: 6,
    suggestedWorkers: 3,
    ready: 5,
    running: 1,
    dueSoon: 0,
    oldestReadySeconds: expect.any(Number),
    workers: 1,
    slots: { busy: 1, total: 2 },
    arrivalsPerSecond: 0,
    slotsPerWorker: 2,
  });
  expect(await scale('?queue=mail')).toMatchObject({
    value: 1,
    dueSoon: 1,
    suggestedWorkers: 1,
    workers: 0,
    oldestReadySeconds: 0,
  });
  const { items } = (await scale('?min=2&max=2')) as { items: { queue: string; suggestedWorkers: number }[] };
  expect(items.map(({ queue, suggestedWorkers }) => [queue, suggestedWorkers])).toEqual([
    ['default', 2],
    ['mail', 2],
  ]);
});

test('what is not valid, and a queue that is not there, get no number', async () => {
  const wrong = await call(`${url()}/v1/scale?queue=A&waitSeconds=0&min=-1&max=many&slots=3`);
  expect(wrong.status).toBe(400);
  for (const name of ['queue', 'waitSeconds', 'min', 'max', 'slots'])
    expect(wrong.body['detail']).toContain(`\`${name}\``);
  expect((await call(`${url()}/v1/scale?queue=nothing`)).status).toBe(404);
});

test('while Redis does not answer there is no number', async () => {
  await redis().stop();
  for (const query of ['', '?queue=default'])
    expect((await call(`${url()}/v1/scale${query}`)).status).toBe(503);
});
