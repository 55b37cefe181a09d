// Of calls that change an endpoint at the same time one does, and the others say that they have changed nothing.

import { expect, test } from 'vitest';
import { createWebhookEndpoints } from '../../src/store/webhook-endpoints.ts';
import { type Answer, call, post } from '../support/http.ts';
import { withServer } from '../support/with-server.ts';

const server = withServer({ webhookAllow: ['127.0.0.1'] });

async function makeEndpoint() {
  const { body } = await post(`${server.url()}/v1/webhooks`, { url: 'http://127.0.0.1:9/hook' });
  const id = String(body['id']);
  const endpoints = createWebhookEndpoints(server.redis().client);
  const find = async () => {
    const endpoint = await endpoints.find(id);
    if (!endpoint) throw new Error('it is gone');
    return endpoint;
  };
  const secrets = async (): Promise<string[]> => (await find()).secrets.map(({ secret }) => secret);
  return { path: `${server.url()}/v1/webhooks/${id}`, endpoints, find, secrets };
}

test('whoever has read what is no more writes nothing', async () => {
  const { path, endpoints, find, secrets } = await makeEndpoint();
  const before = await find();
  await endpoints.replace(before, { ...before, secrets: [{ secret: 'one' }] });
  const late = endpoints.replace(before, { ...before, secrets: [{ secret: 'other' }] });
  await expect(late).rejects.toMatchObject({ code: 'changed-meanwhile' });
  expect(await secrets()).toEqual(['one']);
  const last = await find();
  expect((await call(path, { method: 'DELETE' })).status).toBe(204);
  await expect(endpoints.replace(last, last)).rejects.toMatchObject({ code: 'changed-meanwhile' });
  expect(await endpoints.find(last.id)).toBeUndefined();

  const shared = await endpoints.shared(() => 'first');
  await endpoints.replaceShared(shared, [{ secret: 'one' }, ...shared]);
  const other = endpoints.replaceShared(shared, [{ secret: 'other' }]);
  await expect(other).rejects.toMatchObject({ code: 'changed-meanwhile' });
  expect(await endpoints.shared(() => 'first')).toEqual([{ secret: 'one' }, ...shared]);
});

test('each secret that a rotation hands out signs', async () => {
  const { path, secrets } = await makeEndpoint();
  let refused: Answer | undefined;
  // The calls of a round may also come one after the other.
  for (let round = 0; round < 100 && !refused; round += 1) {
    const last = await secrets();
    const answers = await Promise.all([1, 2, 3].map(() => call(`${path}/rotate`, { method: 'POST' })));
    expect(answers.filter(({ status }) => status !== 200 && status !== 409)).toEqual([]);
    refused = answers.find(({ status }) => status === 409);
    const given = answers.flatMap(({ body }) => (typeof body['secret'] === 'string' ? body['secret'] : []));
    expect(new Set(await secrets())).toEqual(new Set([...given, ...last].slice(0, 3)));
  }
  expect(refused?.body).toMatchObject({
    code: 'changed-meanwhile',
    detail: expect.stringMatching(/^Another call/),
  });
});
