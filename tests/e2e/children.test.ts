// Handlers that make children, and wait for them without a slot: in a thread, on the main thread, and over two queues.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { endAll, startRole } from '../support/fleet.ts';
import { call } from '../support/http.ts';
import { act, finished, look, run, send } from '../support/life.ts';
import { moveAll } from '../support/move-all.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { type RoleHere, startHere, stopHere } from '../support/start-here.ts';
import { openStore } from '../support/store.ts';

const TASKS = fileURLToPath(new URL('../fixtures/spawning.mjs', import.meta.url));

let redis: TestRedis;
let server: RoleHere;
let worker: RoleHere;
let url: string;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'popfleet-children-'));
  redis = await startRedis();
  const variables = { TASKS, REDIS_URL: redis.url };
  [server, worker] = await Promise.all([
    startHere('server', variables),
    // One place: whoever waits must not have it.
    startHere('worker', { ...variables, CONCURRENCY: '1', QUEUES: 'default,side' }),
  ]);
  url = server.url();
});

afterAll(async () => {
  await stopHere(worker);
  await stopHere(server);
  await redis?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const numbers = (count: number): object[] => Array.from({ length: count }, (_, number) => ({ number }));
/** The server learns of a new queue after a while. */
const pause = (word: 'pause' | 'resume'): Promise<unknown> =>
  eventually(async () => (await call(`${url}/v1/queues/side/${word}`, { method: 'POST' })).status === 200);

test.each(['parent', 'parent-inline'])(
  '%s: it goes on when all have ended, with what each has brought',
  async (type) => {
    await pause('pause');
    const id = await send(url, type, {
      children: [...numbers(2), { number: 2, fails: true }],
      queue: 'side',
    });
    await eventually(async () => (await look(url, id)).state === 'waiting');
    expect((await call(`${url}/v1/tasks/${id}/explain`)).body).toMatchObject({
      reasons: [{ code: 'needs-unmet', message: 'It waits for 3 of 3 children.' }],
    });
    const { children = [] } = await look(url, id);
    const unfinished = { queue: 'side', state: 'unfinished' };
    expect(children).toMatchObject([unfinished, unfinished, unfinished]);
    const first = await look(url, children[0]?.task ?? '');
    expect(first).toMatchObject({ type: 'child', state: 'ready', parent: { task: id, queue: 'default' } });
    await pause('resume');
    const ended = await finished(url, id);
    expect(ended).toMatchObject({
      state: 'succeeded',
      attempt: 1,
      result: {
        timedOut: false,
        attempt: 1,
        children: [
          { state: 'succeeded', result: { number: 0 } },
          { state: 'succeeded', result: { number: 1 } },
          { state: 'dead', error: { name: 'TypeError', message: 'child 2 fails' } },
        ],
      },
      children: [{ state: 'succeeded' }, { state: 'succeeded' }, { state: 'dead' }],
    });
  },
);

test('a run that fails finds its children again, one after a checkpoint has others', async () => {
  const journal = join(folder, 'fails');
  const children = [
    { number: 1, journal },
    { number: 2, journal },
  ];
  const { state, result } = await run(url, 'parent', { children, first: 'throws' });
  expect([state, result]).toMatchObject([
    'succeeded',
    { attempt: 2, children: [{ state: 'succeeded' }, { state: 'succeeded' }] },
  ]);
  expect(readFileSync(journal, 'utf8').split('\n').filter(Boolean)).toHaveLength(2);

  const again = await run(url, 'parent', { children: numbers(2), again: true });
  expect(again.result).toMatchObject({ children: [{ result: { number: 99 } }] });
  expect(again.children?.map(({ state: one }) => one)).toEqual(['succeeded', 'succeeded', 'succeeded']);
});

test('a wait ends at its time limit; children that nobody waits for go on; a cancel reaches those that have not ended', async () => {
  await pause('pause');
  const late = await run(url, 'parent', { children: numbers(1), queue: 'side', timeoutMs: 1 });
  expect(late.result).toMatchObject({ timedOut: true, children: [{ state: 'unfinished' }] });
  const left = await run(url, 'parent', { children: numbers(1), queue: 'side', first: 'forgets' });
  const cancelled = await send(url, 'parent', { children: [...numbers(1)], queue: 'side' });
  await eventually(async () => (await look(url, cancelled)).state === 'waiting');
  expect((await act(url, cancelled, 'cancel')).body).toMatchObject({ state: 'cancelled' });
  const { children = [] } = await look(url, cancelled);
  expect(await finished(url, children[0]?.task ?? '')).toMatchObject({ state: 'cancelled' });
  await pause('resume');
  expect(await finished(url, (left.result as string[])[0] ?? '')).toMatchObject({ state: 'succeeded' });
  expect(await finished(url, late.children?.[0]?.task ?? '')).toMatchObject({ state: 'succeeded' });

  const running = await send(url, 'parent', { children: [{ number: 1, hangs: true }] });
  const hanging = await eventually(async () => (await look(url, running)).children?.[0]?.task);
  await eventually(async () => (await look(url, hanging)).state === 'running');
  await act(url, running, 'cancel');
  expect(await finished(url, hanging)).toMatchObject({ state: 'cancelled' });
});

test('a child that is deleted, or moved away, is told of; one that no handler has made is none', async () => {
  await pause('pause');
  const id = await send(url, 'parent', { children: numbers(3), queue: 'side' });
  const children = await eventually(async () => {
    const { state, children: made } = await look(url, id);
    return state === 'waiting' && made;
  });
  expect((await call(`${url}/v1/tasks/${children[0]?.task}`, { method: 'DELETE' })).status).toBe(204);
  expect((await act(url, children[1]?.task ?? '', 'cancel')).status).toBe(200);
  const client = await openStore(redis.url);
  await moveAll(client, 'side', 'default').finally(() => client.disconnect());
  const { result, children: shown } = await finished(url, id);
  expect(result).toMatchObject({
    children: [
      { state: 'removed', error: { name: 'NeedGone' } },
      { state: 'cancelled', error: { name: 'Cancelled' } },
      { state: 'succeeded', result: { number: 2 } },
    ],
  });
  expect(shown?.map(({ state }) => state)).toEqual(['removed', 'cancelled', 'succeeded']);
  await pause('resume');
});

test('a handler that asks for nonsense is told what to do', async () => {
  const { result } = await run(url, 'asks', [
    { type: 'child', input: { number: 1 }, key: 'a' },
    { type: 'child', input: { number: 1 }, key: 'a', tags: ['later'] },
    { type: 'child', input: { number: 2 }, key: 'a' },
    { type: 'child', input: { number: 'x' } },
    { type: 'nothing', input: 1 },
    { type: 'child', input: { number: 3 }, key: '' },
    { type: 'child', input: { number: 3 }, nonsense: 1 },
    { type: 7, input: 1 },
  ]);
  const [id, again, ...messages] = result as string[];
  expect(again).toBe(id);
  expect(messages).toEqual([
    expect.stringMatching(/^TypeError: the key "a" was another child before/),
    expect.stringMatching(/#\/input\/number/),
    expect.stringMatching(/There is no task type "nothing"/),
    expect.stringMatching(/^TypeError: key must be a text/),
    expect.stringMatching(/#\/nonsense/),
    expect.stringMatching(/^TypeError: spawn needs a task definition/),
  ]);
});

test('a parent that takes its worker down has its children once', async () => {
  await stopHere(worker);
  const journal = join(folder, 'dies');
  const start = (QUEUES: string) =>
    startRole('worker', {
      TASKS,
      REDIS_URL: redis.url,
      LEASE_MS: '2000',
      HEARTBEAT_MS: '500',
      QUEUES,
    });
  // Its child waits for the second one.
  const first = await start('default');
  const id = await send(url, 'parent', { children: [{ number: 1, journal }], queue: 'side', first: 'dies' });
  await first.exited;
  const second = await start('default,side');
  await eventually(async () => (await finished(url, id)).state === 'succeeded');
  expect(await look(url, id)).toMatchObject({
    state: 'succeeded',
    crashes: 1,
    result: { children: [{ state: 'succeeded' }] },
  });
  expect(readFileSync(journal, 'utf8').split('\n').filter(Boolean)).toHaveLength(1);
  await endAll([second]);
});
