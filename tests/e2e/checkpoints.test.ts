// What a handler keeps with `context.checkpoint` is there for the next run of its task: after a failed attempt, a crash, a drain and a
// retry by hand; in a thread, on the main thread and in a process of its own.

import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { endAll, type RoleProcess, startRole } from '../support/fleet.ts';
import { post } from '../support/http.ts';
import { finished, look, run, send } from '../support/life.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { type RoleHere, startHere, stopHere } from '../support/start-here.ts';

const TASKS = fileURLToPath(new URL('../fixtures/steps.mjs', import.meta.url));
const AT_ONCE = { backoff: { type: 'fixed', baseMs: 0 } };

let redis: TestRedis;
let server: RoleHere;
let worker: RoleProcess;
let url: string;

const startWorker = (): Promise<RoleProcess> =>
  startRole('worker', {
    TASKS,
    REDIS_URL: redis.url,
    CONCURRENCY: '2',
    LEASE_MS: '2000',
    HEARTBEAT_MS: '500',
  });

beforeAll(async () => {
  redis = await startRedis();
  [server, worker] = await Promise.all([startHere('server', { TASKS, REDIS_URL: redis.url }), startWorker()]);
  url = server.url();
});

afterAll(async () => {
  await endAll([worker]);
  await stopHere(server);
  await redis?.stop();
});

const isKept = (id: string): Promise<number> => redis.client.hexists('pf:{default}:checkpoints', id);

test.each(['steps', 'steps-inline'])(
  '%s: the next attempt goes on where the failed one was',
  async (type) => {
    const task = await run(url, type, { steps: 3, failsAt: 2 }, { maxAttempts: 2, ...AT_ONCE });
    expect(task).toMatchObject({ state: 'succeeded', attempt: 2, result: { from: 2 } });
    // No run comes after this one.
    expect(await isKept(task.id)).toBe(0);
  },
);

test('a dead task that is retried goes on there; from the start when that is asked for, and with another input', async () => {
  const retried = async (body: object): Promise<unknown> => {
    const input = { steps: 3, failsAt: 2 };
    const { id, state } = await run(url, 'steps', input, { maxAttempts: 1 });
    expect([state, await isKept(id)]).toEqual(['dead', 1]);
    expect((await post(`${url}/v1/tasks/${id}/retry`, body)).status).toBe(202);
    return (await finished(url, id)).result;
  };
  expect(await retried({})).toMatchObject({ from: 2 });
  expect(await retried({ input: { steps: 3 } })).toMatchObject({ from: 0 });
  expect(await retried({ input: { steps: 3 }, fromStart: false })).toMatchObject({ from: 2 });
  const { status, body } = await post(`${url}/v1/tasks/${await send(url, 'steps', { steps: 1 })}/retry`, {
    fromStart: 'yes',
  });
  expect({ status, body }).toMatchObject({ status: 422, body: { errors: [{ pointer: '#/fromStart' }] } });
});

test('what cannot be kept is refused with the reason, and undefined forgets what was kept', async () => {
  const { id, result } = await run(url, 'bad-checkpoint', { is: 'large' });
  expect(result).toEqual({
    name: 'RangeError',
    message: expect.stringMatching(/^the checkpoint has 2000005 bytes, 1048576 are allowed/) as string,
  });
  expect(await isKept(id)).toBe(0);
  const lossy = await run(url, 'bad-checkpoint', { is: 'lossy' });
  expect(lossy.result).toMatchObject({ name: 'TypeError' });
});

test('after a crash it goes on there in a process of its own, which keeps steps as well', async () => {
  const id = await send(url, 'steps', { steps: 4, failsAt: 2, dies: true });
  await worker.exited;
  worker = await startWorker();
  const task = await finished(url, id);
  expect(task).toMatchObject({ state: 'succeeded', attempt: 1, crashes: 1, result: { from: 2 } });
  expect(task.result).not.toMatchObject({ pid: worker.pid });
});

test('a worker that stops has the task stop at its next checkpoint, which costs it no attempt', async () => {
  const id = await send(url, 'steps', { steps: 100_000, stepMs: 5 }, { timeoutMs: 600_000 });
  await eventually(async () => (await isKept(id)) === 1);
  const before = worker;
  worker = await startWorker();
  before.signal('SIGTERM');
  // The time to end by itself is 25 s, and the task needs far longer.
  await before.exited;
  await eventually(async () => (await look(url, id)).worker === worker.worker());
  const task = await look(url, id);
  expect(task).toMatchObject({ state: 'running', attempt: 1, crashes: 0, errors: [] });
  await post(`${url}/v1/tasks/${id}/cancel`, {});
  await finished(url, id);
});
