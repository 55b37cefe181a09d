// Dead letters by fingerprint, as callers see them.

import { beforeEach, expect, test } from 'vitest';
import { announce } from '../../src/store/announcement.ts';
import { type Answer, call } from '../support/http.ts';
import { makeKey } from '../support/keys.ts';
import { withServer } from '../support/with-server.ts';

const admin = makeKey();
const mail = makeKey(['enqueue', 'read', 'admin'], ['mail']);
const one = withServer({ apiKeys: [admin.apiKey, mail.apiKey] });
beforeEach(() => one.empty('mail'));

const NO_ORDER = { name: 'TypeError', message: 'no order 1000001' };
const ADD = { type: 'add', input: { one: 1, two: 2 } };

const WORKER = { host: 'h', pid: 1, version: '1', concurrency: 1, threads: 1, types: ['add'] };

interface Group {
  readonly fingerprint: string;
  readonly queue: string;
  readonly sample: string;
  readonly firstSeenAt: string;
  readonly lastSeenAt: string;
}

function ask(method: string, path: string, key = admin, body?: unknown): Promise<Answer> {
  return call(`${one.url()}${path}`, {
    method,
    headers: { ...key.bearer, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

async function die(error: object, queue = 'default', task: object = ADD): Promise<string> {
  const { status, body } = await ask('POST', '/v1/tasks', admin, { ...task, queue, tags: ['paid'] });
  expect(status).toBe(202);
  const id = await one.worker().take(queue);
  expect(body['id']).toBe(id);
  await one.worker().end(id, 'dead', error);
  return id;
}

async function items<Item>(path: string, key = admin): Promise<Item[]> {
  const { status, body } = await ask('GET', path, key);
  expect([status, body['detail']]).toEqual([200, undefined]);
  return body['items'] as Item[];
}

const idsOf = async (query: string): Promise<string[]> =>
  (await items<{ id: string }>(`/v1/tasks?${query}`)).map(({ id }) => id);
const fingerprintsOf = async (query: string): Promise<string[]> =>
  (await items<Group>(`/v1/errors?${query}`)).map(({ fingerprint }) => fingerprint);

test('they are listed and counted, and lead to their tasks', async () => {
  const first = await die(NO_ORDER);
  const second = await die({ ...NO_ORDER, message: 'no order 2222222' });
  const other = await die({ name: 'RangeError', message: 'too far' }, 'mail', {
    type: 'greet',
    input: { name: 'a' },
  });
  const all = await items<Group>('/v1/errors');
  expect(all).toMatchObject([
    {
      queue: 'mail',
      type: 'greet',
      name: 'RangeError',
      message: 'too far',
      dead: 1,
      total: 1,
      sample: other,
    },
    { queue: 'default', type: 'add', name: 'TypeError', message: 'no order <number>', dead: 2, total: 2 },
  ]);
  const [far, group] = all as [Group, Group];
  expect(group.sample).toBe(second);
  const { fingerprint } = group;
  expect(await idsOf(`fingerprint=${fingerprint}`)).toEqual([second, first]);
  expect(await idsOf('error=TypeError&state=dead&tag=paid')).toEqual([second, first]);
  expect(await idsOf('error=TypeError&type=greet')).toEqual([]);
  expect(await idsOf('error=RangeError&queue=mail')).toEqual([other]);
  expect(await idsOf('error=RangeError')).toEqual([]);

  expect((await ask('POST', `/v1/tasks/${second}/retry`)).status).toBe(202);
  expect((await ask('GET', `/v1/errors/${fingerprint}`)).body).toMatchObject({
    fingerprint,
    dead: 1,
    total: 2,
    firstSeenAt: group.firstSeenAt,
    items: [{ queue: 'default', sample: first }],
  });
  expect(await idsOf(`fingerprint=${fingerprint}`)).toEqual([first]);

  expect(await fingerprintsOf('queue=mail')).toEqual([far.fingerprint]);
  expect(await fingerprintsOf('type=add')).toEqual([fingerprint]);
  expect(await fingerprintsOf('since=2099-01-01T00:00:00Z')).toEqual([]);
  expect(await fingerprintsOf(`since=${far.lastSeenAt}`)).toEqual([far.fingerprint]);
  expect(await fingerprintsOf(`since=${Date.parse(far.lastSeenAt)}`)).toEqual([far.fingerprint]);
  expect(await fingerprintsOf('queue=unknown')).toEqual([]);
  const { next } = (await ask('GET', '/v1/errors?limit=1')).body as { next?: string };
  expect(await fingerprintsOf(`limit=1&cursor=${next}`)).toEqual([fingerprint]);
});

test('those that are new: first seen since the oldest live worker of their queue started', async () => {
  await die(NO_ORDER);
  const [{ fingerprint, firstSeenAt }] = (await items<Group>('/v1/errors')) as [Group];
  const now = Date.parse(firstSeenAt);
  expect(await items('/v1/errors?new=false')).toMatchObject([
    { attempts: { least: 1, most: 1 }, versions: ['2.4.0'] },
  ]);
  const { client } = one.redis();
  const start = async (worker: string, startedAt: number, queue = 'default'): Promise<void> => {
    await client.zadd(`pf:{${queue}}:workers`, now + 600_000, worker);
    await announce(client, queue, worker, { ...WORKER, startedAt });
  };
  // Nobody knows what code runs in a queue without workers.
  await client.del('pf:{default}:workers');
  expect(await fingerprintsOf('new=true')).toEqual([]);
  await start('of-another-queue', now - 1_000, 'mail');
  expect(await fingerprintsOf('new=true')).toEqual([]);
  await start('younger', now + 1);
  expect(await fingerprintsOf('new=true')).toEqual([]);
  await start('older', now);
  expect(await fingerprintsOf('new=true')).toEqual([fingerprint]);
});

test('one fingerprint over its queues, and none of those of others', async () => {
  await die(NO_ORDER);
  await die(NO_ORDER, 'mail');
  const all = await items<Group>('/v1/errors');
  expect(all.map(({ queue }) => queue)).toEqual(['mail', 'default']);
  const path = `/v1/errors/${all[0]?.fingerprint}`;
  expect((await ask('GET', path)).body).toMatchObject({ dead: 2, total: 2 });
  const seen = await ask('GET', path, mail);
  expect(seen.body).toMatchObject({ dead: 1, total: 1, items: [{ queue: 'mail' }] });
  expect(await items('/v1/errors', mail)).toMatchObject([{ queue: 'mail' }]);
  expect(await items('/v1/errors?queue=default', mail)).toEqual([]);
  await one.redis().client.srem('pf:queues', 'mail');
  expect((await ask('GET', path, mail)).status).toBe(404);
});

test('a kind is ignored in a queue, or in all of the key, counted apart, and heeded again', async () => {
  await die(NO_ORDER);
  await die(NO_ORDER, 'mail');
  const [{ fingerprint }] = (await items<Group>('/v1/errors')) as [Group];
  const path = `/v1/errors/${fingerprint}/ignored`;
  const until = '2099-01-01T00:00:00.000Z';
  const queuesOf = async (query: string): Promise<string[]> =>
    (await items<Group>(`/v1/errors?${query}`)).map(({ queue }) => queue).toSorted();

  const byMail = await ask('PUT', path, mail, { until, moreDeaths: 5 });
  expect([byMail.status, byMail.body['items']]).toMatchObject([
    200,
    [{ queue: 'mail', ignored: { until, untilTotal: 6 } }],
  ]);
  expect([await queuesOf('ignored=true'), await queuesOf('ignored=false')]).toEqual([['mail'], ['default']]);
  expect((await ask('GET', '/v1/queues/mail')).body).toMatchObject({ counts: { dead: 1 }, deadIgnored: 1 });
  expect((await ask('GET', '/v1/queues/default')).body).not.toHaveProperty('deadIgnored');

  expect((await ask('PUT', path)).status).toBe(200);
  expect(await items('/v1/errors')).toMatchObject([{ ignored: {} }, { ignored: {} }]);
  expect((await ask('DELETE', `${path}?queue=mail`)).status).toBe(200);
  expect(await queuesOf('ignored=true')).toEqual(['default']);
  const changes = await items<object>('/v1/audit?limit=3');
  expect(changes).toMatchObject([
    { operation: 'heedError', queue: 'mail', target: { fingerprint } },
    { operation: 'ignoreError', facts: { queues: expect.arrayContaining(['mail', 'default']) as string[] } },
    { operation: 'ignoreError', facts: { queues: ['mail'], until: Date.parse(until), moreDeaths: 5 } },
  ]);
});

test.each([
  ['until', { until: 'soon' }],
  ['moreDeaths', { moreDeaths: -1 }],
  ['queue', { queue: '{x}' }],
  ['forever', { forever: true }],
])('an ending %s that is none is refused and named', async (name, body) => {
  await die(NO_ORDER);
  const [{ fingerprint }] = (await items<Group>('/v1/errors')) as [Group];
  const refused = await ask('PUT', `/v1/errors/${fingerprint}/ignored`, admin, body);
  expect([refused.status, refused.body['code']]).toEqual([422, 'invalid-input']);
  expect(JSON.stringify(refused.body)).toContain(name);
});

test('what is not there, or not in that queue, cannot be ignored', async () => {
  await die(NO_ORDER);
  const [{ fingerprint }] = (await items<Group>('/v1/errors')) as [Group];
  for (const [name, key] of [['0'.repeat(16), admin] as const, [fingerprint, mail] as const]) {
    expect((await ask('PUT', `/v1/errors/${name}/ignored`, key)).status).toBe(404);
  }
  expect((await ask('DELETE', `/v1/errors/${fingerprint}/ignored?queue=mail`)).status).toBe(404);
});

test.each(['0'.repeat(16), 'other', 'no-fingerprint', '..%2f', `${'0'.repeat(15)}G`])(
  '%s is not found',
  async (name) => {
    const { status, body } = await ask('GET', `/v1/errors/${name}`);
    expect([status, body['code']]).toEqual([404, 'not-found']);
  },
);

test.each([
  ['cursor=x', 'cursor'],
  ['since=yesterday', 'since'],
  ['since=-1', 'since'],
  ['limit=201', 'limit'],
  ['type=No', 'type'],
  ['ignored=yes', 'ignored'],
  ['new=yes', 'new'],
  ['queue={x}', 'queue'],
  ['state=dead', 'state'],
])('%s is refused and named', async (query, name) => {
  const { status, body } = await ask('GET', `/v1/errors?${query}`);
  expect([status, body['code']]).toEqual([400, 'invalid-query']);
  expect(body['detail']).toContain(`\`${name}\``);
});
