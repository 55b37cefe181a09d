// A key that is for some queues: it can do everything with them, and learns nothing of others.

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import * as v from 'valibot';
import { createServerRole, type Server } from '../../src/server/server.ts';
import { defineTask } from '../../src/tasks/define.ts';
import { toRegistry } from '../../src/tasks/registry.ts';
import { eventually } from '../support/eventually.ts';
import { type Answer, call } from '../support/http.ts';
import { makeKey, type TestKey } from '../support/keys.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { SERVER_SETTINGS, silent, testRegistry } from '../support/server.ts';

const INPUT = { one: 1, two: 2 };
const SCHEDULE = { everyMs: 3_600_000, type: 'add', input: INPUT };
const both = makeKey(['enqueue', 'read', 'admin'], ['mail', 'video']);
const mail = makeKey(['enqueue', 'read', 'admin'], ['mail']);
const video = makeKey(['read'], ['video']);
const admin = makeKey();

let redis: TestRedis;
let server: Server;

beforeAll(async () => {
  redis = await startRedis();
  const bill = defineTask({
    type: 'bill',
    input: v.unknown(),
    defaults: { queue: 'secret', maxAttempts: 7 },
    run: () => 1,
  });
  const clip = defineTask({ type: 'clip', input: v.unknown(), defaults: { queue: 'video' }, run: () => 1 });
  const all = [...(await testRegistry()).values(), bill, clip];
  const parts = {
    connection: silent(redis.url),
    registry: toRegistry(all.map((definition) => ({ definition, source: 'the test' }))),
    log: silent(redis.url).log,
  };
  const apiKeys = [both, mail, video, admin].map(({ apiKey }) => apiKey);
  server = createServerRole({ ...SERVER_SETTINGS, bodyLimitBytes: 65_536, maxQueues: 4, apiKeys }, parts);
  await server.start();
  await eventually(async () => (await fetch(`${server.url()}/readyz`)).ok);
});
afterAll(async () => {
  await server?.stop();
  await redis?.stop();
});
beforeEach(async () => {
  await redis.client.flushall();
});

function ask(key: TestKey, method: string, path: string, body?: unknown): Promise<Answer> {
  return call(`${server.url()}${path}`, {
    method,
    headers: { ...key.bearer, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

describe('case 31: a key with queues', () => {
  it('uses the short route with `?queue=`, and is told so without it', async () => {
    const sent = await ask(both, 'POST', '/add?queue=video', INPUT);
    expect([sent.status, sent.body['queue'], sent.body['message']]).toEqual([202, 'video', 'task sent']);
    expect((await ask(both, 'POST', '/clip', {})).body['queue']).toBe('video');
    for (const path of ['/add', '/bill', '/add?queue=secret']) {
      const refused = await ask(both, 'POST', path, INPUT);
      expect([refused.status, refused.body['code']], path).toEqual([403, 'forbidden']);
      expect(refused.body['detail']).toMatch(/Name one of its own with `\?queue=`: mail, video\.$/);
    }
    const long = await ask(both, 'POST', '/v1/tasks', { type: 'add', input: INPUT });
    expect(long.body['detail']).toMatch(/with `queue`: mail, video\.$/);
    expect((await ask(both, 'POST', '/add?queue=No', INPUT)).body['code']).toBe('invalid-query');
    expect((await ask(admin, 'POST', '/add?queue=secret', INPUT)).body['queue']).toBe('secret');
  });

  it('sees a batch of its queue, and of what belongs to it nothing that is in another', async () => {
    const then = { type: 'add', input: INPUT };
    const { body } = await ask(admin, 'POST', '/v1/batches', {
      queue: 'mail',
      then: { success: { ...then, queue: 'mail' }, complete: { ...then, type: 'bill', queue: 'secret' } },
      tasks: ['mail', 'secret'].map((queue) => Object.assign({ queue, delayMs: 3_600_000 }, then)),
    });
    expect(body).toMatchObject({ complete: { type: 'bill', queue: 'secret' } });
    const path = `/v1/batches/${String(body['id'])}`;
    for (const queue of ['mail', 'secret']) {
      const { body: page } = await ask(admin, 'GET', `/v1/tasks?queue=${queue}&state=scheduled`);
      const [{ id }] = page['items'] as [{ id: string }];
      expect((await ask(admin, 'POST', `/v1/tasks/${id}/cancel`)).status).toBe(200);
    }
    await eventually(async () => (await ask(admin, 'GET', path)).body['state'] === 'cancelled');
    const own = await ask(mail, 'GET', path);
    const listed = (await ask(mail, 'GET', '/v1/batches')).body['items'] as unknown[];
    const closed = await ask(mail, 'POST', `${path}/close`);
    const failed = await ask(mail, 'GET', `${path}/failed`);
    expect(own.body).toMatchObject({ counts: { members: 2, cancelled: 2 }, success: { queue: 'mail' } });
    expect(listed).toEqual([own.body]);
    expect(failed.body['items']).toMatchObject([{ queue: 'mail' }]);
    expect(JSON.stringify([own, listed, closed, failed])).not.toMatch(/secret|bill/);
    for (const one of [path, `${path}/failed`]) expect((await ask(video, 'GET', one)).status).toBe(404);
  });

  it('sees every type, and of a definition not the queue that is not its own', async () => {
    const types = (await ask(mail, 'GET', '/v1/types')).body['items'] as {
      type: string;
      defaults: unknown;
    }[];
    const ofAdmin = (await ask(admin, 'GET', '/v1/types')).body['items'] as typeof types;
    expect(types.map(({ type }) => type)).toEqual(ofAdmin.map(({ type }) => type));
    expect(types.find(({ type }) => type === 'bill')?.defaults).toEqual({ maxAttempts: 7 });
    expect(JSON.stringify(types)).not.toMatch(/secret|video/);
    const ofBoth = (await ask(both, 'GET', '/v1/types')).body['items'] as typeof types;
    expect(ofBoth.find(({ type }) => type === 'clip')?.defaults).toEqual({ queue: 'video' });
  });

  it('hears of the runs of its own queues alone', async () => {
    const hour = Math.floor(Date.now() / 3_600_000);
    const runs = JSON.stringify({ add: [1, ...Array<number>(17).fill(0)] });
    for (const queue of ['mail', 'video', 'secret']) {
      await redis.client.sadd('pf:queues', queue);
      await redis.client.lpush(`pf:{${queue}}:type-hours`, `${hour} ${runs}`);
    }
    const runsFor = async (key: TestKey, query = ''): Promise<unknown> => {
      const { status, body } = await ask(key, 'GET', `/v1/types/runs${query}`);
      expect(status).toBe(200);
      return (body['items'] as { runs: number }[])[0]?.runs;
    };
    await eventually(async () => (await runsFor(admin)) === 3);
    expect(await runsFor(both)).toBe(2);
    expect(await runsFor(mail)).toBe(1);
    expect(await runsFor(both, '?queue=video')).toBe(1);
    expect(await runsFor(mail, '?queue=secret')).toBeUndefined();
  });

  it('gives a schedule a name that one of another queue has, and neither hears of the other', async () => {
    const put = (key: TestKey, body: object, query = ''): Promise<Answer> =>
      ask(key, 'PUT', `/v1/schedules/nightly${query}`, { ...SCHEDULE, ...body });
    const fresh = await put(mail, { queue: 'mail' });
    await redis.client.flushall();
    expect((await put(admin, { queue: 'secret', everyMs: 60_000 })).status).toBe(201);
    const taken = await put(mail, { queue: 'mail' });
    expect([taken.status, taken.body]).toEqual([fresh.status, { ...fresh.body, next: taken.body['next'] }]);
    expect((await put(mail, { queue: 'mail', everyMs: 7_200_000 })).status).toBe(200);
    for (const verb of ['pause', 'resume']) {
      expect((await ask(mail, 'POST', `/v1/schedules/nightly/${verb}`)).body['queue']).toBe('mail');
    }
    expect((await ask(mail, 'GET', '/v1/schedules')).body['items']).toHaveLength(1);
    expect((await ask(mail, 'DELETE', '/v1/schedules/nightly')).status).toBe(204);
    expect((await ask(mail, 'GET', '/v1/schedules/nightly')).status).toBe(404);
    expect((await ask(mail, 'GET', '/v1/schedules/nightly?queue=secret')).status).toBe(404);
    expect((await ask(mail, 'DELETE', '/v1/schedules/nightly')).status).toBe(404);
    const other = await ask(admin, 'GET', '/v1/schedules/nightly');
    expect(other.body).toMatchObject({ queue: 'secret', everyMs: 60_000, paused: false });
  });

  it('a name in several queues is told from the others by `?queue=`, else 409', async () => {
    for (const queue of ['mail', 'secret']) {
      const key = queue === 'mail' ? mail : admin;
      const query = queue === 'mail' ? '' : '?queue=secret';
      expect((await ask(key, 'PUT', `/v1/schedules/hourly${query}`, { ...SCHEDULE, queue })).status).toBe(
        201,
      );
    }
    for (const [method, path] of [
      ['GET', ''],
      ['DELETE', ''],
      ['POST', '/pause'],
      ['POST', '/resume'],
    ] as const) {
      const ambiguous = await ask(admin, method, `/v1/schedules/hourly${path}`);
      expect([ambiguous.status, ambiguous.body['code']], method + path).toEqual([409, 'ambiguous-name']);
      expect(ambiguous.body['detail']).toContain('(mail, secret). Say with `?queue=`');
    }
    expect((await ask(admin, 'POST', '/v1/schedules/hourly/pause?queue=secret')).body).toMatchObject({
      queue: 'secret',
      paused: true,
    });
    expect((await ask(admin, 'GET', '/v1/schedules/hourly?queue=mail')).body).toMatchObject({
      paused: false,
    });
    expect((await ask(both, 'GET', '/v1/schedules/hourly')).body).toMatchObject({ queue: 'mail' });
    // The queue of the body has one of that name: it is the one that is meant.
    const own = { ...SCHEDULE, queue: 'secret', everyMs: 60_000 };
    expect((await ask(admin, 'PUT', '/v1/schedules/hourly', own)).status).toBe(200);
    const elsewhere = await ask(admin, 'PUT', '/v1/schedules/hourly', { ...SCHEDULE, queue: 'video' });
    expect([elsewhere.status, elsewhere.body['code']]).toEqual([409, 'ambiguous-name']);
    const moved = await ask(admin, 'PUT', '/v1/schedules/hourly?queue=mail', { ...SCHEDULE, queue: 'video' });
    expect([moved.status, moved.body['queue']]).toEqual([200, 'video']);
    const all = (await ask(admin, 'GET', '/v1/schedules')).body['items'] as { queue: string }[];
    expect(all.map(({ queue }) => queue).toSorted()).toEqual(['secret', 'video']);
    expect((await ask(admin, 'GET', '/v1/schedules?queue=video')).body['items']).toHaveLength(1);
    expect((await ask(admin, 'DELETE', '/v1/schedules/hourly?queue=video')).status).toBe(204);
    expect((await ask(admin, 'DELETE', '/v1/schedules/hourly')).status).toBe(204);
  });

  it('a move that broke off between two queues is completed by the same PUT', async () => {
    await ask(admin, 'PUT', '/v1/schedules/daily', { ...SCHEDULE, queue: 'mail' });
    await ask(admin, 'PUT', '/v1/schedules/daily', { ...SCHEDULE, queue: 'video' });
    // As it stands between the two writes of a move: it is in both, and ticks in the one that it leaves.
    const definition = await redis.client.hgetBuffer('pf:{video}:schedules', 'daily');
    await redis.client.zrem('pf:{video}:ticks', 'daily');
    await redis.client.hset('pf:{mail}:schedules', 'daily', definition ?? '');
    await redis.client.zadd('pf:{mail}:ticks', Date.now() + 3_600_000, 'daily');
    const again = await ask(admin, 'PUT', '/v1/schedules/daily', { ...SCHEDULE, queue: 'video' });
    expect([again.status, again.body['queue']]).toEqual([200, 'video']);
    expect(await redis.client.hexists('pf:{mail}:schedules', 'daily')).toBe(0);
    expect(await redis.client.zcard('pf:{video}:ticks')).toBe(1);
  });

  it('no answer names a queue of others or says how many there are', async () => {
    await ask(admin, 'POST', '/add?queue=secret', INPUT);
    await ask(admin, 'POST', '/add?queue=hidden', INPUT);
    await ask(admin, 'PUT', '/v1/schedules/theirs', { ...SCHEDULE, queue: 'secret' });
    await ask(both, 'POST', '/add?queue=mail', INPUT);
    const foreign = String((await ask(admin, 'POST', '/add?queue=secret', INPUT)).body['id']);
    const asked: [string, string, unknown?][] = [
      ['GET', '/v1/queues'],
      ['GET', '/v1/queues/secret'],
      ['GET', '/v1/queues/secret/ledger'],
      ['POST', '/v1/queues/secret/pause'],
      ['GET', '/v1/workers'],
      ['GET', '/v1/types'],
      ['GET', '/v1/types/runs'],
      ['GET', '/v1/schedules'],
      ['GET', '/v1/schedules/theirs'],
      ['GET', '/v1/session'],
      ['GET', '/v1/tasks'],
      ['GET', '/v1/errors'],
      ['GET', '/v1/errors/other'],
      ['PUT', '/v1/errors/other/ignored', {}],
      ['GET', `/v1/tasks/${foreign}`],
      ['GET', `/v1/tasks/${foreign}/explain`],
      ['GET', `/v1/events?topics=task:${foreign}`],
      ['POST', `/v1/tasks/${foreign}/cancel`],
      ['POST', '/bill', {}],
      ['POST', '/v1/tasks', { type: 'bill', input: {} }],
      ['POST', '/v1/tasks/check', { type: 'bill', input: {} }],
      ['POST', '/v1/tasks/batch', [{ type: 'bill', input: {} }]],
      ['POST', '/v1/tasks/batch?partial=true', [{ type: 'bill', input: {} }]],
      ['PUT', '/v1/schedules/bills', { ...SCHEDULE, type: 'bill' }],
    ];
    for (const [method, path, body] of asked) {
      const answer = await ask(both, method, path, body);
      expect(JSON.stringify(answer.body), `${method} ${path}`).not.toMatch(/secret|hidden|theirs/);
    }
    // Three of four queues are there, then four: the refusal says the limit by its name, and no number.
    await ask(admin, 'POST', '/add?queue=fourth', INPUT);
    const full = await ask(both, 'POST', '/add?queue=video', INPUT);
    expect([full.status, full.body['code']]).toEqual([503, 'queue-full']);
    expect(full.body['detail']).toBe('No more queues may be made (MAX_QUEUES). Use one that is there.');
    expect(full.body['retryAfterSeconds']).toBe(60);
  });
});
