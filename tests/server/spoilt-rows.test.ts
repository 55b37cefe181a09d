// What other programs, or other releases, have written into Redis: it is shown as far as it can be read, and what stands
// beside it is shown as ever.

import { beforeEach, describe, expect, it } from 'vitest';
import { newTaskId } from '../../src/protocol/task-id.ts';
import { openPopfleet } from '../../src/library.ts';
import { call, post } from '../support/http.ts';
import { withServer } from '../support/with-server.ts';

const one = withServer();
beforeEach(() => one.empty('mail'));

type Body = Record<string, unknown>;

async function get(path: string): Promise<Body> {
  const { status, body } = await call(`${one.url()}${path}`);
  expect([path, status]).toEqual([path, 200]);
  return body;
}

async function send(more: object = {}): Promise<string> {
  const { status, body } = await post(`${one.url()}/v1/tasks`, {
    type: 'add',
    input: { one: 1, two: 2 },
    queue: 'mail',
    ...more,
  });
  expect(status).toBe(202);
  return String(body['id']);
}

/** Every view of the task and of the queue it stands in. */
async function lookAtAll(id: string): Promise<{ task: Body; rows: readonly Body[] }> {
  const states = ['', '&state=scheduled', '&state=dead', '&state=ready'];
  const pages = await Promise.all(states.map((state) => get(`/v1/tasks?queue=mail${state}`)));
  for (const path of [
    '/v1/queues',
    '/v1/queues/mail',
    '/v1/workers',
    `/v1/tasks/${id}/explain`,
    `/v1/tasks/${id}/log`,
  ]) {
    await get(path);
  }
  return { task: await get(`/v1/tasks/${id}`), rows: (pages[0]?.['items'] ?? []) as Body[] };
}

const KEY = 'pf:{mail}';
/** What is written to a hash or a sorted set in place of what popfleet has there. */
const SPOILT: readonly (readonly [what: string, column: string, value: string | Buffer])[] = [
  ['a state of a later release', 'headers', 'waiting 1 0 0 normal 0 0 - a b c d'],
  ['a header that is none', 'headers', 'x'],
  ['an empty header', 'headers', ''],
  ['bytes as a header', 'headers', Buffer.from([0xff, 0x00, 0x20, 0x20])],
  ['numbers that are none', 'headers', 'dead one two three none four five six seven eight'],
  ['times without an end', 'headers', `dead 1 1 0 normal ${'9'.repeat(30)} 1e300 w 9e99 5`],
  ['a due time beyond all days', 'due', '1e300'],
  ['a due time that is no number', 'due', 'soon'],
  ['an expiry that is no number', 'expires', 'nan'],
  ['a time of cancelling without an end', 'cancels', 'inf'],
  ['an error that is no CBOR', 'last-errors', Buffer.from([0x9f, 0xff, 0xff])],
  ['an error of another form', 'last-errors', Buffer.from([0x05])],
  ['a result that is no CBOR', 'results', Buffer.from('garbage')],
  ['a result with a big integer', 'results', Buffer.from('c249010000000000000000', 'hex')],
  ['a result that holds itself', 'results', Buffer.from('d81c81d81d00', 'hex')],
  ['progress that is no CBOR', 'progress', Buffer.from([0xff])],
  ['a content that is none', 'contents', 'x'],
  ['a content that ends early', 'contents', Buffer.from([0x82, 0x63, 0x61, 0x64, 0x64])],
];

describe('case 51: one bad row hides nothing', () => {
  it.each(SPOILT)('case 51: %s', async (_, column, value) => {
    const id = await send();
    const before = await send({ delayMs: 60_000 });
    const after = await send({ priority: 'high' });
    await one.redis().client.hset(`${KEY}:${column}`, id, value);
    const { task, rows } = await lookAtAll(id);
    expect(task).toMatchObject({ id, queue: 'mail', acceptedAt: expect.stringMatching(/^\d{4}-/) });
    expect(rows.map((row) => String(row['id'])).sort()).toEqual([id, before, after].sort());
    // It can be removed.
    expect((await call(`${one.url()}/v1/tasks/${id}`, { method: 'DELETE' })).status).toBe(204);
  });

  it('case 51: a state of a later release is shown by its name', async () => {
    const id = await send();
    await one.redis().client.hset(`${KEY}:headers`, id, 'sleeping 1 0 0 low 0 0 -');
    const { task } = await lookAtAll(id);
    expect(task).toMatchObject({ state: 'sleeping', priority: 'low' });
    const { reasons } = await get(`/v1/tasks/${id}/explain`);
    expect(reasons).toMatchObject([
      { code: 'unknown-state', message: expect.stringContaining('"sleeping"') },
    ]);
  });

  it('case 51: attempts, workers, events and places in a list are read past what is none', async () => {
    const { client } = one.redis();
    const ids = await Promise.all([1, 2, 3].map((at) => send({ delayMs: at * 60_000 })));
    const [id = ''] = ids;
    const entries = ['a b c d 1 e', '1 9e99 1 w 1 \xa0', '1 2 3 w 2 \xff ', 'x'].join('');
    await client.hset(`${KEY}:errors`, id, Buffer.from(entries, 'latin1'));
    await client.hset(`${KEY}:headers`, id, 'scheduled 3 2 0 normal 0 0 w');
    await client.zadd(`${KEY}:later`, 'inf', ids[1] ?? '', '1e300', ids[2] ?? '', 5, 'no id');
    await client.zadd(`${KEY}:workers`, 'inf', 'endless', 1e300, 'far', 9_000_000_000_000, 'fine');
    await client.hset(`${KEY}:announced`, {
      endless: 'x',
      far: Buffer.from('a269737461727465644174fb7e37e43c8800759c6574797065730a', 'hex'),
    });
    await client.xadd(`${KEY}:events`, '99999999999999-1', 'x', 'y');
    const { task } = await lookAtAll(id);
    expect(task['errors']).toHaveLength(4);
    const { items: workers } = (await get('/v1/workers')) as { items: Body[] };
    expect(workers.map(({ worker }) => worker)).toEqual(['endless', 'far', 'fine']);
    const seen: unknown[] = [];
    for (let cursor: string | undefined = ''; cursor !== undefined; ) {
      const page = await get(
        `/v1/tasks?queue=mail&state=scheduled&limit=1${cursor === '' ? '' : `&cursor=${cursor}`}`,
      );
      seen.push(...(page['items'] as Body[]).map((row) => row['id']));
      cursor = page['next'] as string | undefined;
    }
    expect(seen).toEqual([id, ids[2], ids[1]]);
  });
});

describe('case 51: a time that could not be shown is refused where it comes in', () => {
  const YEAR_MS = 365 * 86_400_000;
  const FAULTS: readonly (readonly [string, unknown])[] = [
    ['delayMs', YEAR_MS + 1],
    ['delayMs', 1e300],
    ['ttlMs', YEAR_MS + 1],
    ['runAt', 253_402_300_800_000],
    ['runAt', 8.64e15 + 1],
    ['runAt', '10000-01-01T00:00:00Z'],
    ['expiresAt', 9e15],
    ['timeoutMs', 25 * 86_400_000],
    ['resultTtlMs', YEAR_MS + 1],
    ['keyWindowMs', YEAR_MS + 1],
  ];

  it.each(FAULTS)('case 51: %s = %s', async (name, value) => {
    const task = { type: 'add', input: { one: 1, two: 2 }, [name]: value };
    const alone = await post(`${one.url()}/v1/tasks`, task);
    expect(alone).toMatchObject({ status: 422, body: { errors: [{ pointer: `#/${name}` }] } });
    const batch = await post(`${one.url()}/v1/tasks/batch`, [task]);
    expect(batch).toMatchObject({ status: 422, body: { errors: [{ pointer: `#/0/${name}` }] } });
    const { createAdd } = await import('../../src/tasks/add.ts');
    const popfleet = await openPopfleet({ redisUrl: one.redis().url, tasks: [createAdd(0)] });
    const sent = popfleet.enqueue('add', task.input, { [name]: value });
    await expect(sent).rejects.toMatchObject({ code: 'invalid-input', faults: [{ pointer: `#/${name}` }] });
    popfleet.close();
  });

  it('case 51: the last instant there is can be kept, and is shown', async () => {
    const id = await send({ runAt: '9999-12-31T23:59:59.999Z', expiresAt: 253_402_300_799_999 });
    expect(await get(`/v1/tasks/${id}`)).toMatchObject({
      dueAt: '9999-12-31T23:59:59.999Z',
      expiresAt: '9999-12-31T23:59:59.999Z',
    });
    expect(newTaskId() > id).toBe(true);
  });
});
