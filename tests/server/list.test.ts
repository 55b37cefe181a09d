// Lists of tasks: every task exactly where it belongs, page by page, while others come and go.

import { beforeEach, expect, test } from 'vitest';
import { call, post } from '../support/http.ts';
import { withServer } from '../support/with-server.ts';

const one = withServer();
beforeEach(() => one.empty('mail'));

interface Row {
  readonly id: string;
  readonly type: string;
  readonly state: string;
}

async function send(count: number, more: Record<string, unknown> = {}): Promise<string[]> {
  const task = { type: 'add', input: { one: 1, two: 2 }, ...more };
  const { status, body } = await post(
    `${one.url()}/v1/tasks/batch`,
    Array.from({ length: count }, () => task),
  );
  expect(status).toBe(202);
  return (body['items'] as Row[]).map(({ id }) => id);
}

async function page(query: string): Promise<{ items: Row[]; next: string | undefined; link: string | null }> {
  const { status, body, headers } = await call(`${one.url()}/v1/tasks?${query}`);
  expect(status).toBe(200);
  const { items, next } = body as { items: Row[]; next?: string };
  return { items, next, link: headers.get('link') };
}

/** All pages of a query, one after the other; `between` runs after each. */
async function walk(
  query: string,
  between: () => Promise<unknown> = async () => undefined,
): Promise<Row[][]> {
  const pages: Row[][] = [];
  for (let next: string | undefined = ''; next !== undefined; ) {
    const found = await page(`${query}${next === '' ? '' : `&cursor=${next}`}`);
    pages.push(found.items);
    next = found.next;
    await between();
  }
  return pages;
}

const ids = (rows: readonly Row[]): string[] => rows.map(({ id }) => id);
const sorted = (texts: readonly string[]): string[] => [...texts].sort();

test.each([10, 200, 1_000])('all of %d tasks, page by page, each once', async (count) => {
  const sent = await send(count);
  const pages = await walk('limit=100');
  for (const items of pages) expect(items.length).toBeLessThanOrEqual(100);
  expect(sorted(ids(pages.flat()))).toEqual(sorted(sent));
});

test.each(['', 'state=ready&'])(
  'tasks of %s a page are newest first, whatever their order is in the store',
  async (state) => {
    const sent = await send(300);
    const [whole] = await walk(`${state}limit=200`);
    expect(ids(whole ?? [])).toEqual(sorted(ids(whole ?? [])).toReversed());
    const few = sorted(sent).slice(0, 150);
    for (const id of sent) {
      if (few.includes(id)) continue;
      await call(`${one.url()}/v1/tasks/${id}`, { method: 'DELETE' });
    }
    expect(ids((await page(`${state}limit=200`)).items)).toEqual(few.toReversed());
  },
);

test('tasks that are there all the time are in the pages, whatever comes and goes meanwhile', async () => {
  const staying = await send(700);
  const going = await send(300);
  const pages = await walk('limit=50', async () => {
    await send(40);
    for (const id of going.splice(0, 40)) {
      const { status } = await call(`${one.url()}/v1/tasks/${id}`, { method: 'DELETE' });
      expect(status).toBe(204);
    }
  });
  const seen = new Set(ids(pages.flat()));
  expect(staying.filter((id) => !seen.has(id))).toEqual([]);
});

test('by state: each list has its own tasks and no others', async () => {
  const [first, second, third] = [await send(1), await send(1), await send(1)].flat();
  for (const [id, word] of [
    [first, 'succeeded'],
    [second, 'dead'],
  ] as const) {
    expect(await one.worker().take()).toBe(id);
    await one.worker().end(id ?? '', word, word === 'dead' ? { name: 'Error', message: 'no' } : 3);
  }
  expect(await one.worker().take()).toBe(third);
  const [waiting] = await send(1);
  const [later] = await send(1, { delayMs: 60_000 });
  const [cancelled] = await send(1);
  await call(`${one.url()}/v1/tasks/${cancelled}/cancel`, { method: 'POST' });
  const expected = {
    succeeded: first,
    dead: second,
    running: third,
    ready: waiting,
    scheduled: later,
    cancelled,
  };
  for (const [state, id] of Object.entries(expected)) {
    const { items, next } = await page(`state=${state}`);
    expect(items).toMatchObject([{ id, state, type: 'add', links: { self: `/v1/tasks/${id}` } }]);
    expect(next).toBeUndefined();
    expect(JSON.stringify(items)).not.toContain('"input"');
  }
});

test('scheduled tasks come by their due time, dead ones newest first, also when a page ends among equals', async () => {
  const later = (
    await Promise.all([5, 1, 3, 2, 4].map((hours) => send(1, { delayMs: hours * 3_600_000 })))
  ).flat();
  const byDue = [later[1], later[3], later[2], later[4], later[0]];
  expect((await walk('state=scheduled&limit=2')).map(ids)).toEqual([
    byDue.slice(0, 2),
    byDue.slice(2, 4),
    byDue.slice(4),
  ]);
  const sent = await send(25);
  for (const id of sent) await one.redis().client.zadd('pf:{default}:dead', 1_000, id);
  const rows = await one.redis().client.zrevrange('pf:{default}:dead', 0, -1);
  for (const id of rows)
    await one.redis().client.hset('pf:{default}:headers', id, 'dead 1 1 0 normal 0 1 w 1000 30');
  const pages = await walk('state=dead&limit=10');
  expect(pages.map((items) => items.length)).toEqual([10, 10, 5]);
  expect(ids(pages.flat())).toEqual(rows);
});

test('what was shown may go: the others are in the pages that follow', async () => {
  const remove = (rows: readonly Row[]): Promise<unknown> =>
    Promise.all(rows.map(({ id }) => call(`${one.url()}/v1/tasks/${id}`, { method: 'DELETE' })));
  const sent = await send(500);
  const seen: string[] = [];
  for (let next: string | undefined = ''; next !== undefined; ) {
    const found = await page(`limit=50${next === '' ? '' : `&cursor=${next}`}`);
    seen.push(...ids(found.items));
    await remove(found.items);
    next = found.next;
  }
  expect(sorted([...new Set(seen)])).toEqual(sorted(sent));

  // Dead at the same moment, and removed page by page.
  const dead = await send(120);
  for (const id of dead) {
    await one.redis().client.hset('pf:{default}:headers', id, 'dead 1 1 0 normal 0 1 w 1000 30');
    await one.redis().client.zadd('pf:{default}:dead', 1_000, id);
  }
  await one.redis().client.hset('pf:{default}:count', 'dead', 120);
  const triaged: string[] = [];
  for (let next: string | undefined = ''; next !== undefined; ) {
    const found = await page(`state=dead&limit=50${next === '' ? '' : `&cursor=${next}`}`);
    triaged.push(...ids(found.items));
    await remove(found.items);
    next = found.next;
  }
  expect(sorted(triaged)).toEqual(sorted(dead));
});

test('large inputs are not read to list their tasks: a page takes Redis no long call', async () => {
  const text = 'x'.repeat(60_000);
  await Promise.all(
    Array.from({ length: 100 }, () =>
      post(`${one.url()}/v1/tasks`, { type: 'a-type-of-more-than-23-characters', input: text }),
    ),
  );
  await one.redis().client.config('RESETSTAT');
  const pages = await walk('limit=100');
  expect(pages.flat()).toHaveLength(100);
  expect(new Set(pages.flat().map(({ type }) => type))).toEqual(
    new Set(['a-type-of-more-than-23-characters']),
  );
  // Six megabytes in calls of one at most.
  const calls = Number(
    /cmdstat_evalsha:calls=(\d+)/.exec(await one.redis().client.info('commandstats'))?.[1],
  );
  expect(calls).toBeGreaterThanOrEqual(2 * 6);
});

test('by type, and by queue', async () => {
  await send(5);
  const greetings = (
    await Promise.all([1, 2].map(() => send(1, { type: 'greet', input: { name: 'a' } })))
  ).flat();
  const [mail] = await send(1, { queue: 'mail' });
  expect(sorted(ids((await page('type=greet')).items))).toEqual(sorted(greetings));
  expect(ids((await page('queue=mail')).items)).toEqual([mail]);
  expect((await page('queue=unknown')).items).toEqual([]);
});

test('a page says where the next one is, in its body and as a link', async () => {
  await send(30);
  const { next, link } = await page('limit=20&type=add');
  expect(link).toBe(`</v1/tasks?limit=20&type=add&cursor=${next}>; rel="next"`);
});

test.each([
  ['limit=0', 'limit'],
  ['limit=201', 'limit'],
  ['limit=1e9', 'limit'],
  ['state=done', 'state'],
  ['queue={x}', 'queue'],
  ['type=../x', 'type'],
  ['cursor=x', 'cursor'],
  ['cursor=o.1.1', 'cursor'],
  ['cursor=w.18446744073709551616.', 'cursor'],
  ['cursor=w.1.99999999999999999999.01890000-0000-7000-8000-000000000000', 'cursor'],
  ['constructor=1', 'constructor'],
  ['state=dead&cursor=w.0.', 'cursor'],
  ['tag=', 'tag'],
  [`tag=${'x'.repeat(65)}`, 'tag'],
  ['tag=a%00b', 'tag'],
  ['error=', 'error'],
  ['fingerprint=xyz', 'fingerprint'],
  ['field=customer', 'field'],
  ['field=customer:', 'field'],
  ['field=9:x', 'field'],
  ['tag=a&cursor=w.0.', 'cursor'],
  ['cursor=i.01890000-0000-7000-8000-000000000000', 'cursor'],
  ['tag=a&cursor=i.1', 'cursor'],
  ['colour=red', 'colour'],
])('%s is refused and named', async (query, name) => {
  const { status, body } = await call(`${one.url()}/v1/tasks?${query}`);
  expect(status).toBe(400);
  expect(body).toMatchObject({
    code: 'invalid-query',
    detail: expect.stringContaining(`\`${name}\``) as string,
  });
});
