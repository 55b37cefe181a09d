// A dead task is retried with another input: under its own id, with all else that it had, and checked by its type.

import { encode } from 'cbor-x';
import { beforeEach, expect, test } from 'vitest';
import { type Answer, call, post } from '../support/http.ts';
import { withServer } from '../support/with-server.ts';

const one = withServer();
beforeEach(() => one.empty());

async function kill(more: object = {}): Promise<string> {
  const { body } = await post(`${one.url()}/v1/tasks`, { type: 'add', input: { one: 1, two: 2 }, ...more });
  const id = await one.worker().take();
  expect(id).toBe(body['id']);
  await one.worker().end(id, 'dead', { name: 'Error', message: 'no' });
  return id;
}

const retry = (id: string, body: unknown): Promise<Answer> => post(`${one.url()}/v1/tasks/${id}/retry`, body);

test('it runs with the other input under its own id, and keeps what else it was sent with', async () => {
  const id = await kill({
    maxAttempts: 7,
    priority: 'low',
    onEnd: { type: 'add', input: { one: 5, two: 5 } },
  });
  const since = Date.now();
  const { status, body } = await retry(id, { input: { one: 20, two: 3 } });
  expect(status).toBe(202);
  expect(body).toMatchObject({
    id,
    state: 'ready',
    input: { one: 20, two: 3 },
    options: { maxAttempts: 7 },
    priority: 'low',
    onEnd: { type: 'add' },
  });
  expect(Date.parse(String(body['inputEditedAt']))).toBeGreaterThanOrEqual(since);
  expect(body['errors']).toHaveLength(1);
  // The worker gets it, and it may be edited once more.
  await one.redis().client.del('pf:{default}:ready:normal', 'pf:{default}:ledger:normal');
  expect(await one.worker().take()).toBe(id);
  await one.worker().end(id, 'dead', { name: 'Error', message: 'no' });
  expect((await retry(id, { input: { one: 0, two: 0 } })).body['input']).toEqual({ one: 0, two: 0 });
});

test('without an input, with an empty body or none, it runs with what it had', async () => {
  for (const body of [undefined, {}]) {
    const id = await kill();
    const init = { method: 'POST', headers: { 'content-type': 'application/json' } };
    const text = body === undefined ? {} : { body: JSON.stringify(body) };
    const answer = await call(`${one.url()}/v1/tasks/${id}/retry`, { ...init, ...text });
    expect(answer).toMatchObject({ status: 202, body: { input: { one: 1, two: 2 } } });
    expect(answer.body['inputEditedAt']).toBeUndefined();
    expect(await one.worker().take()).toBe(id);
  }
});

test('CBOR is taken as elsewhere', async () => {
  const id = await kill();
  const body = Uint8Array.from(encode({ input: { one: 7, two: 8 } }));
  const headers = { 'content-type': 'application/cbor' };
  const answer = await call(`${one.url()}/v1/tasks/${id}/retry`, { method: 'POST', headers, body });
  expect(answer.body['input']).toEqual({ one: 7, two: 8 });
});

test('an input that its type refuses, and a body that is none, change nothing', async () => {
  const id = await kill();
  const refused = await retry(id, { input: { one: 'x', two: 2 } });
  expect(refused).toMatchObject({ status: 422, body: { errors: [{ pointer: '#/input/one' }] } });
  expect((await retry(id, { inputs: 1 })).status).toBe(422);
  expect((await retry(id, [])).status).toBe(422);
  const shown = (await call(`${one.url()}/v1/tasks/${id}`)).body;
  expect(shown).toMatchObject({ state: 'dead', input: { one: 1, two: 2 } });
});

test('a task that is not dead keeps its input', async () => {
  const { body } = await post(`${one.url()}/v1/tasks`, { type: 'add', input: { one: 1, two: 2 } });
  const id = String(body['id']);
  expect(await retry(id, { input: { one: 3, two: 3 } })).toMatchObject({
    status: 409,
    body: { code: 'invalid-state' },
  });
  expect((await call(`${one.url()}/v1/tasks/${id}`)).body['input']).toEqual({ one: 1, two: 2 });
});

test('a type that this server does not know, and a message that cannot be read, are told', async () => {
  const id = await kill();
  const contents = 'pf:{default}:contents';
  await one.redis().client.hset(contents, id, Buffer.from(encode(['nobody.knows', {}])));
  expect(await retry(id, { input: {} })).toMatchObject({ status: 404, body: { code: 'unknown-type' } });
  await one.redis().client.hset(contents, id, Buffer.from('826361646480ff', 'hex'));
  expect(await retry(id, { input: {} })).toMatchObject({ status: 409, body: { code: 'invalid-state' } });
});
