// What the client sends of what it is given: what JSON carries, as it writes it, and nothing in place of the rest.

import { expect, test } from 'vitest';
import { type Answer, watchedClient } from '../support/watched-client.ts';
import { withServer } from '../support/with-server.ts';

const server = withServer();
const watched = (answer?: Answer) => watchedClient(server.url(), answer);

const cycle: { again?: unknown } = {};
cycle.again = [cycle];

/** Its only field is private. */
class Secret {
  readonly #text = 'hidden';
  length(): number {
    return this.#text.length;
  }
}

test.each([
  ['NaN', { one: Number.NaN }, '#/input/one'],
  ['Infinity', [-Infinity], '#/input/0'],
  ['a bigint', { 'a/b': 5n }, '#/input/a~1b'],
  ['a Map', new Map([[1, 2]]), '#/input'],
  ['bytes', { bytes: Buffer.from('abc') }, '#/input/bytes'],
  ['undefined in an array', [[1, undefined]], '#/input/0/1'],
  ['a hole in an array', Object.assign([], { 1: 1 }), '#/input/0'],
  ['a function', { run: () => 1 }, '#/input/run'],
  ['an invalid Date', { at: new Date('x') }, '#/input/at'],
  ['a class without members', { secret: new Secret() }, '#/input/secret'],
  ['a cycle', cycle, '#/input/again/0'],
])('what JSON would change is refused before it is sent: %s', async (_, input, pointer) => {
  const { client, requests } = watched();
  await expect(client.enqueue('add', input)).rejects.toMatchObject({
    status: 0,
    code: 'invalid-input',
    errors: [{ pointer, detail: expect.stringContaining('JSON cannot carry') }],
  });
  await expect(client.retry('x', { input })).rejects.toMatchObject({ errors: [{ pointer }] });
  expect(requests).toEqual([]);
});

test('what cannot be read is the fault of who gave it, too', async () => {
  const { client, requests } = watched();
  const input = {
    get one(): number {
      throw new Error('not now');
    },
  };
  await expect(client.enqueue('add', input)).rejects.toMatchObject({
    status: 0,
    code: 'invalid-input',
    errors: [{ pointer: '#/input/one', detail: expect.stringContaining('not now') }],
  });
  expect(requests).toEqual([]);
});

test('what JSON carries goes as it writes it', async () => {
  const { client, requests } = watched(() => Response.json({ id: 'x' }));
  const twice = { deep: [true, null, -0, ''] };
  const at = new Date(0);
  class Point {
    readonly x = 1;
  }
  const input = { at, url: new URL('http://a/'), none: undefined, twice, again: twice, point: new Point() };
  await client.enqueue('add', Object.assign(Object.create(null) as object, input), { key: 'k' });
  expect(requests.map(({ body }) => JSON.parse(body))).toEqual([
    {
      key: 'k',
      type: 'add',
      input: {
        at: at.toISOString(),
        url: 'http://a/',
        twice: { deep: [true, null, 0, ''] },
        again: { deep: [true, null, 0, ''] },
        point: { x: 1 },
      },
    },
  ]);
});

test('of many tasks, one that JSON cannot carry has its problem at its place, and the others go', async () => {
  const { client, requests } = watched();
  const inputs = Array.from({ length: 12 }, (_, at): unknown =>
    at % 5 === 0 ? { at: 1n } : { one: at, two: 1 },
  );
  inputs[11] = { one: Number.NaN };
  inputs[4] = { one: 'x', two: 1 };
  const tasks = inputs.map((input) => ({ type: 'add', input, queue: 'carried' }));
  const items = [];
  for await (const item of client.enqueueMany(tasks, { size: 6 })) items.push(item);
  expect(items.map(({ index }) => index)).toEqual(tasks.map((_, at) => at));
  const problem = (pointer: string) => ({ code: 'invalid-input', errors: [{ pointer }] });
  expect(items.filter((item) => 'problem' in item)).toMatchObject([
    { index: 0, problem: problem('#/input/at') },
    { index: 4, problem: problem('#/input/one') },
    { index: 5, problem: problem('#/input/at') },
    { index: 10, problem: problem('#/input/at') },
    { index: 11, problem: problem('#/input/one') },
  ]);
  expect(requests).toHaveLength(2);
  expect(await client.queues.get('carried')).toMatchObject({ ready: { normal: 7 } });
  // Nothing at all is left to send.
  for await (const item of client.enqueueMany([{ type: 'add', input: 1n }]))
    expect(item).toMatchObject({ index: 0, problem: problem('#/input') });
  expect(requests).toHaveLength(3);
});
