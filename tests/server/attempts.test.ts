// Which attempt a task is at, in every view of it.

import { beforeEach, expect, it } from 'vitest';
import { homeOf } from '../../src/store/keys.ts';
import { eventually } from '../support/eventually.ts';
import { call, post } from '../support/http.ts';
import { createModelSweeper } from '../support/model-sweeper.ts';
import { openStore } from '../support/store.ts';
import { withServer } from '../support/with-server.ts';

const one = withServer();
beforeEach(() => one.empty());

async function send(more: object = {}): Promise<string> {
  const { body } = await post(`${one.url()}/v1/tasks`, { type: 'add', input: { one: 1, two: 2 }, ...more });
  return String(body['id']);
}

/** State and attempt, which the task and its row in the list agree on. */
async function attemptOf(id: string): Promise<string> {
  const { body: task } = await call(`${one.url()}/v1/tasks/${id}`);
  const { body: page } = await call(`${one.url()}/v1/tasks`);
  const row = (page['items'] as Record<string, unknown>[]).find((item) => item['id'] === id);
  expect(row).toMatchObject({ state: task['state'], attempt: task['attempt'] });
  return `${String(task['state'])} ${String(task['attempt'])}`;
}

const act = (id: string, verb: string): Promise<unknown> => post(`${one.url()}/v1/tasks/${id}/${verb}`, {});

it('case 34: a task that never ran is at attempt 0, wherever it is', async () => {
  const ready = await send();
  const scheduled = await send({ delayMs: 60_000 });
  expect(await attemptOf(ready)).toBe('ready 0');
  expect(await attemptOf(scheduled)).toBe('scheduled 0');
  await act(ready, 'cancel');
  await act(scheduled, 'cancel');
  expect(await attemptOf(ready)).toBe('cancelled 0');
  expect(await attemptOf(scheduled)).toBe('cancelled 0');
  const late = await send({ ttlMs: 1 });
  const client = await openStore(one.redis().url);
  await eventually(async () => {
    await createModelSweeper(client)(homeOf('default'));
    return (await attemptOf(late)) === 'dead 0';
  });
  client.disconnect();
});

it('case 34: a task that runs is at its first attempt, one that waits has made as many as have failed', async () => {
  const error = { name: 'Error', message: 'no' };
  const worker = one.worker();
  const id = await send();
  await worker.take();
  expect(await attemptOf(id)).toBe('running 1');
  await worker.end(id, 'failed', error);
  expect(await attemptOf(id)).toBe('scheduled 1');
  await one.redis().client.del('pf:{default}:later');
  await act(id, 'cancel');
  expect(await attemptOf(id)).toBe('cancelled 1');

  const dead = await send();
  await worker.take();
  await worker.end(dead, 'dead', error);
  expect(await attemptOf(dead)).toBe('dead 1');
  await act(dead, 'retry');
  expect(await attemptOf(dead)).toBe('ready 0');
  await worker.take();
  expect(await attemptOf(dead)).toBe('running 1');
  await worker.end(dead, 'succeeded', 3);
  expect(await attemptOf(dead)).toBe('succeeded 1');
});

it('case 34: an attempt that was given back does not count, one that was stopped does', async () => {
  const worker = one.worker();
  const id = await send();
  await worker.take();
  await worker.end(id, 'released');
  expect(await attemptOf(id)).toBe('ready 0');
  await worker.take();
  expect(await attemptOf(id)).toBe('running 1');
  await worker.end(id, 'cancelled', { name: 'Cancelled', message: 'stopped' });
  expect(await attemptOf(id)).toBe('cancelled 1');
});
