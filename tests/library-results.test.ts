// What a program that has sent a task hears of its end: `result()` of its handle.

import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { openPopfleet, type Popfleet } from '../src/index.ts';
import { createAdd } from '../src/tasks/add.ts';
import { eventually } from './support/eventually.ts';
import { expectBelow } from './support/expect-below.ts';
import { startRedis, type TestRedis } from './support/redis.ts';
import { type RoleHere, startHere } from './support/start-here.ts';
import { testRegistry } from './support/server.ts';

const add = createAdd(0);
const SUM = { one: 1, two: 2 };
/** No worker takes from it. */
const ALONE = { queue: 'alone' };

let redis: TestRedis;
let popfleet: Popfleet;
let worker: RoleHere;

async function open({ url }: TestRedis): Promise<Popfleet> {
  const tasks = [...(await testRegistry()).values()];
  return openPopfleet({ redisUrl: url, tasks, logLevel: 'silent' });
}

beforeAll(async () => {
  redis = await startRedis();
  popfleet = await open(redis);
  worker = await startHere('worker', {
    REDIS_URL: redis.url,
    TASKS: new URL('fixtures/tasks.mjs', import.meta.url).pathname,
    TASK_DURATION_MS: '0',
  });
});

afterAll(async () => {
  popfleet?.close();
  await worker?.stop();
  await redis?.stop();
});

test('the result of a task comes when it has ended, also later and also of a repeated request', async () => {
  const sent = await popfleet.enqueue(add, SUM, { key: 'sum' });
  expect(await sent.result()).toBe(3);
  expect(await sent.result({ timeoutMs: 0 })).toBe(3);
  const again = await popfleet.enqueue('add', SUM, { key: 'sum' });
  expect(again).toEqual({ id: sent.id, replayed: true });
  expect(await again.result()).toBe(3);
  const [first, second] = await popfleet.enqueueMany([
    { type: 'greet', input: { name: 'Ada' } },
    { type: 'result', input: { kind: 'nothing' } },
  ]);
  expect(await Promise.all([first?.result(), second?.result()])).toEqual(['Hello, Ada!', undefined]);
});

test('a failure, a cancel and an expiry are told apart', async () => {
  const failed = await popfleet.enqueue('fail', { how: 'type-error' }, { maxAttempts: 1 });
  await expect(failed.result()).rejects.toMatchObject({
    name: 'PopfleetError',
    code: 'task-failed',
    message: `Task ${failed.id} failed: TypeError: this is wrong`,
    cause: { name: 'TypeError', message: 'this is wrong', stack: expect.stringContaining('tasks.mjs') },
  });

  const cancelled = await popfleet.enqueue(add, SUM, ALONE);
  const end = cancelled.result();
  expect(await popfleet.cancel(cancelled.id)).toBe('cancelled');
  await expect(end).rejects.toMatchObject({ code: 'task-cancelled' });

  const expired = await popfleet.enqueue(add, SUM, { expiresAt: '2020-01-01T00:00:00Z' });
  await expect(expired.result()).rejects.toMatchObject({ code: 'task-expired', cause: { name: 'Expired' } });
});

test('a task that goes on has no result yet', async () => {
  const waiting = await popfleet.enqueue(add, SUM, ALONE);
  await expect(waiting.result({ timeoutMs: 0 })).rejects.toMatchObject({ code: 'timed-out' });
  await expect(waiting.result({ timeoutMs: 50 })).rejects.toMatchObject({
    code: 'timed-out',
    message: `Task ${waiting.id} has not ended within 50 ms; it is ready.`,
  });
  for (const timeoutMs of [-1, Number.NaN, 25 * 86_400_000, '5' as unknown as number]) {
    await expect(waiting.result({ timeoutMs })).rejects.toMatchObject({
      code: 'invalid-input',
      faults: [{ pointer: '#/timeoutMs' }],
    });
  }
});

describe('without a worker', () => {
  let still: TestRedis;
  let other: Popfleet;
  beforeAll(async () => {
    still = await startRedis();
    other = await open(still);
  });
  afterAll(async () => {
    other?.close();
    await still?.stop();
  });

  /** Connections on which the library hears of events. */
  async function listening(): Promise<number> {
    return String(await still.client.client('LIST')).split('name=popfleet:events ').length - 1;
  }

  async function scriptCalls(): Promise<number> {
    const stats = await still.client.info('commandstats');
    return Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1] ?? 0);
  }

  it('twenty that wait share a connection, and look at most twice each, however long it takes', async () => {
    const sent = await Promise.all(Array.from({ length: 20 }, () => other.enqueue(add, SUM)));
    // Whatever else the library calls now and then is counted too.
    await expectBelow(2 * sent.length + 1, async () => {
      const before = await scriptCalls();
      const late = sent.map((task) => expect(task.result({ timeoutMs: 1_000 })).rejects.toThrow('1000 ms'));
      await eventually(async () => (await listening()) === 1);
      await Promise.all(late);
      return (await scriptCalls()) - before;
    });
    expect(await listening()).toBe(1);
  });

  it('what follows a task that the program cancels is accepted by the program itself', async () => {
    const onEnd = { type: 'greet', input: { name: 'Ada' }, queue: 'afterwards' };
    const sent = await other.enqueue(add, SUM, { onEnd });
    expect(await other.cancel(sent.id)).toBe('cancelled');
    await eventually(async () => (await still.client.hget('pf:{afterwards}:count', 'accepted')) === '1');
    await expect(other.enqueue(add, SUM, { onEnd: { type: 'greet' } })).rejects.toMatchObject({
      code: 'invalid-input',
      faults: [{ pointer: '#/onEnd/input/name' }],
    });
  });

  it('a task that is kept no longer has no result', async () => {
    const sent = await other.enqueue(add, SUM);
    await still.client.flushall();
    await expect(sent.result()).rejects.toMatchObject({ code: 'not-found' });
  });

  it('who waits when the connection is closed is told so', async () => {
    const closing = await open(still);
    const sent = await closing.enqueue(add, SUM);
    const before = await listening();
    const end = sent.result();
    await eventually(async () => (await listening()) > before);
    closing.close();
    await expect(end).rejects.toMatchObject({ code: 'shutting-down' });
    await expect(sent.result()).rejects.toMatchObject({ code: 'shutting-down' });
    await eventually(async () => (await listening()) === before);
  });
});
