// SIGTERM: what runs is ended well or given back, who waits is answered, and nothing is left behind.

import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { call, post } from '../support/http.ts';
import { isAlive } from '../support/processes.ts';
import { JOURNAL_TASKS, openQueueFacts } from '../support/queue-facts.ts';
import { queueKey } from '../support/queue-key.ts';
import { blockedClients } from '../support/servers-of.ts';
import { openJournalStage, openStage } from '../support/stage.ts';

test.concurrent('a worker told to end fetches no more, ends short tasks and gives long ones back unharmed', async (context) => {
  const { stage, redis, facts, env } = await openJournalStage(context, { CONCURRENCY: '3' });
  const server = await stage.here('server', env);
  const worker = await stage.role('worker', { ...env, SHUTDOWN_GRACE_MS: '2500' });
  const [short = ''] = await facts.send(server.url(), 1, 500);
  const [long = ''] = await facts.send(server.url(), 1, 12_000);
  await facts.untilBegun([short, long]);

  worker.signal('SIGTERM');
  await eventually(() => worker.log().some(({ msg }) => msg === 'stopping'));
  // It offers no places any more, and pops nothing: until Redis has heard so, it may get a task.
  await eventually(async () => (await redis.client.exists(`${queueKey('default')}:idle`)) === 0);
  await eventually(async () => (await blockedClients(redis.client)) === 0);
  // One slot is free all the time, another one as soon as the short task has ended.
  const [late = ''] = await facts.send(server.url(), 1, 0);

  expect(await worker.exited).toBe(0);
  expect(await facts.task(short)).toMatchObject({ state: 'succeeded', claims: 1 });
  expect(await facts.task(long)).toMatchObject({ state: 'ready', claims: 1, failures: 0, crashes: 0 });
  expect(await facts.task(late)).toMatchObject({ state: 'ready', claims: 0 });
  expect((await call(`${server.url()}/v1/tasks/${long}`)).body).toMatchObject({ attempt: 0, crashes: 0 });
  expect(await facts.counts()).toEqual({ accepted: 3, succeeded: 1, ready: 2 });
  expect(await facts.ready()).toBe(2);
  expect(await facts.heldBy(worker.worker())).toEqual([]);
  expect(await facts.workers()).toEqual([]);

  await stage.here('worker', env);
  await facts.expectAllDone([short, long, late], { withinMs: 60_000 });
  expect(facts.runs(long)).toBe(2);
  expect(await facts.task(long)).toMatchObject({ claims: 2, failures: 0, crashes: 0 });
});

test.concurrent('an idle worker told to end does so at once, not after its block time', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const facts = openQueueFacts(redis);
  const worker = await stage.role('worker', { REDIS_URL: redis.url, BLOCK_MS: '30000' });
  await eventually(async () => (await blockedClients(redis.client)) === 1);

  worker.signal('SIGTERM');

  expect(await Promise.race([worker.exited, once(AbortSignal.timeout(10_000), 'abort')])).toBe(0);
  expect(await facts.workers()).toEqual([]);
});

test.concurrent('a server told to end answers the requests that are under way', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const facts = openQueueFacts(redis);
  const server = await stage.role('server', { ...JOURNAL_TASKS, REDIS_URL: redis.url });
  const [waitedFor = ''] = await facts.send(server.url(), 1, 0); // No worker runs it.
  const longPoll = call(`${server.url()}/v1/tasks/${waitedFor}?wait=50`);
  await eventually(async () => (await blockedClients(redis.client)) === 1);
  const half = request(`${server.url()}/add`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'content-length': '17', expect: '100-continue' },
  });
  half.flushHeaders();
  await once(half, 'continue'); // So the server has it.
  half.write('{"one":1,');

  server.signal('SIGTERM');

  const answered = await longPoll;
  expect(answered).toMatchObject({ status: 200, body: { id: waitedFor, state: 'ready' } });
  // Or the server would stay until the caller closes.
  expect(answered.headers.get('connection')).toBe('close');
  expect(await statusOf(half, '"two":2}')).toBe(202);
  expect(await server.exited).toBe(0);
  expect(await facts.counts()).toEqual({ accepted: 2, ready: 2 });
  await expect(fetch(`${server.url()}/healthz`)).rejects.toThrow();
});

test.concurrent('the role all ends its Redis with it, keeps what it accepted and leaves no process behind', async (context) => {
  // Its Redis is its own, whatever the others have.
  context.skip(process.env['POPFLEET_TOPOLOGY'] !== undefined);
  const stage = openStage(context);
  const { dir } = await stage.redis(); // For its folder, which goes when the test ends.
  const env = {
    DATA_DIR: join(dir, 'data'),
    TASK_DURATION_MS: '3000',
    SHUTDOWN_GRACE_MS: '0',
    CONCURRENCY: '1',
  };
  const socket = join(dir, 'data', 'redis.sock');
  const first = await stage.role('all', env, dir);
  const { body } = await post(`${first.url()}/add`, { one: 1, two: 2 });
  await eventually(async () => (await call(taskUrl(first.url(), body))).body['state'] === 'running');
  const redisPid = await pidOfRedis(socket);
  expect(isAlive(redisPid)).toBe(true);

  first.signal('SIGTERM');

  expect(await first.exited).toBe(0);
  expect(isAlive(redisPid)).toBe(false);
  expect(existsSync(socket)).toBe(false);

  const second = await stage.role('all', { ...env, TASK_DURATION_MS: '0' }, dir);
  const { body: task } = await call(`${taskUrl(second.url(), body)}?wait=10`);
  expect(task).toMatchObject({ state: 'succeeded', result: 3, attempt: 1, crashes: 0 });
  second.signal('SIGTERM');
  expect(await second.exited).toBe(0);
});

async function statusOf(open: ClientRequest, rest: string): Promise<number | undefined> {
  const response = once(open, 'response') as Promise<[IncomingMessage]>;
  open.end(rest);
  const [answer] = await response;
  answer.resume();
  return answer.statusCode;
}

function taskUrl(url: string, accepted: Record<string, unknown>): string {
  return `${url}/v1/tasks/${String(accepted['id'])}`;
}

async function pidOfRedis(socket: string): Promise<number> {
  const client = new Redis(socket);
  const info = await client.info('server');
  client.disconnect();
  return Number(/process_id:(\d+)/.exec(info)?.[1]);
}
