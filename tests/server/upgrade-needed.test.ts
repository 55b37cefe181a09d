// A queue that a newer release keeps: this one shows what it can read of it, and says why it changes nothing.

import { beforeEach, expect, test } from 'vitest';
import { openPopfleet } from '../../src/library.ts';
import { createAdd } from '../../src/tasks/add.ts';
import { call, post } from '../support/http.ts';
import { createJudge, documentOf, operationsOf } from '../support/openapi.ts';
import { openForTest } from '../support/sse.ts';
import { withServer } from '../support/with-server.ts';

const SENTENCE =
  'The queue "mail" is kept by a newer release of popfleet (protocol 4, this is 3): upgrade this one.';
const REFUSED = { code: 'upgrade-needed', detail: SENTENCE, retryAfterSeconds: 30 };
const TASK = { type: 'add', input: { one: 1, two: 2 }, queue: 'mail' };
const KEY = 'pf:{mail}';

const one = withServer();
beforeEach(() => one.empty('mail', 'news'));

async function send(): Promise<string> {
  const { status, body } = await post(`${one.url()}/v1/tasks`, TASK);
  expect(status).toBe(202);
  return String(body['id']);
}

async function upgrade(): Promise<void> {
  await one.redis().client.hset(`${KEY}:queue`, 'protocol', 4);
}

test('what would change the queue is refused with a sentence; other queues are served', async () => {
  const id = await send();
  await upgrade();
  const schedule = { everyMs: 60_000, ...TASK };
  for (const [method, path, body] of [
    ['POST', '/v1/tasks', TASK],
    ['POST', '/add?queue=mail', TASK.input],
    ['POST', `/v1/tasks/${id}/cancel`, undefined],
    ['POST', `/v1/tasks/${id}/retry`, undefined],
    ['DELETE', `/v1/tasks/${id}`, undefined],
    ['POST', '/v1/queues/mail/pause', undefined],
    ['PUT', '/v1/schedules/hourly', schedule],
  ] as const) {
    const init = body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
    const answer = await call(`${one.url()}${path}`, { method, ...init });
    expect([path, answer.status, answer.body]).toMatchObject([path, 503, REFUSED]);
    expect(answer.headers.get('retry-after')).toBe('30');
  }
  const batch = [TASK, { ...TASK, queue: 'news' }];
  expect(await post(`${one.url()}/v1/tasks/batch`, batch)).toMatchObject({
    status: 503,
    body: { ...REFUSED, detail: expect.stringContaining(SENTENCE), accepted: 1 },
  });

  expect((await post(`${one.url()}/v1/tasks`, { ...TASK, queue: 'news' })).status).toBe(202);
  expect((await call(`${one.url()}/readyz`)).status).toBe(200);
  const lib = await openPopfleet({ redisUrl: one.redis().url, tasks: [createAdd(0)] });
  try {
    const refused = { code: 'upgrade-needed', message: SENTENCE };
    await expect(lib.enqueue('add', TASK.input, { queue: 'mail' })).rejects.toMatchObject(refused);
    await expect(lib.cancel(id)).rejects.toMatchObject(refused);
    expect(await lib.get(id)).toMatchObject({ id, state: 'ready' });
  } finally {
    lib.close();
  }
});

test('a state that it does not know, and words behind a header, are shown everywhere as the document allows', async () => {
  const id = await send();
  const stream = await openForTest(`${one.url()}/v1/events?topics=queue:mail`);
  const single = await openForTest(`${one.url()}/v1/tasks/${id}/events`);
  await single.until('snapshot');
  await upgrade();
  const { client } = one.redis();
  await client.hset(`${KEY}:headers`, id, 'hibernating 3 0 0 normal 0 0 w 17 9 extra words');
  await client.xadd(`${KEY}:events`, '*', 'n', '2', 'm', `${id}hibernating`, 'z', 'another field');

  const document = await documentOf(one.url());
  const judge = createJudge(document);
  const operations = document.paths;
  const get = async (path: string, route: string): Promise<Record<string, unknown>> => {
    const response = await fetch(`${one.url()}${path}`);
    const text = await response.text();
    const operation = operationsOf({ ...document, paths: { [route]: operations[route] ?? {} } }).find(
      ({ method }) => method === 'GET',
    );
    if (!operation) throw new Error(`${route} is not documented`);
    expect([
      path,
      judge.faultOf(operation, response.status, response.headers.get('content-type'), text),
    ]).toEqual([path, undefined]);
    return JSON.parse(text) as Record<string, unknown>;
  };

  const known = { id, state: 'hibernating', queue: 'mail', type: 'add' };
  expect(await get(`/v1/tasks/${id}`, '/v1/tasks/{id}')).toMatchObject({ ...known, input: TASK.input });
  expect(await get('/v1/tasks?queue=mail', '/v1/tasks')).toMatchObject({ items: [known] });
  // It is in none of the states that can be asked for.
  for (const state of ['ready', 'running', 'succeeded', 'dead', 'scheduled', 'cancelled'])
    expect(await get(`/v1/tasks?queue=mail&state=${state}`, '/v1/tasks')).toMatchObject({ items: [] });
  expect(await get(`/v1/tasks/${id}/explain`, '/v1/tasks/{id}/explain')).toMatchObject({
    state: 'hibernating',
    reasons: [
      { code: 'upgrade-needed', blocking: true, message: SENTENCE },
      { code: 'unknown-state', message: expect.stringContaining('"hibernating"') },
    ],
  });
  expect(await get('/v1/queues/mail', '/v1/queues/{queue}')).toMatchObject({ queue: 'mail' });
  const moved = (await stream.until('state')).at(-1);
  expect(moved?.data).toMatchObject({ task: id, state: 'hibernating', queue: 'mail' });
  // A task in an unknown state has not ended.
  expect((await single.until('state')).at(-1)?.data).toMatchObject({ state: 'hibernating' });
  expect(single.isOver()).toBe(false);
  expect(await get(`/v1/tasks/${id}?wait=0`, '/v1/tasks/{id}')).toMatchObject(known);

  const next = await openForTest(`${one.url()}/v1/tasks/${id}/events`);
  expect((await next.until('snapshot')).at(-1)?.data).toMatchObject(known);
});

test('explain names the newer release first, also where nothing else is unknown', async () => {
  const id = await send();
  await upgrade();
  const { body } = await call(`${one.url()}/v1/tasks/${id}/explain`);
  expect(body['reasons']).toMatchObject([
    { code: 'upgrade-needed', blocking: true, message: SENTENCE },
    { code: 'no-live-worker' },
  ]);
});
