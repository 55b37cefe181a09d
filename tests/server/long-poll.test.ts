// Waiting for a task: answered when it ends, at the time asked for, and never for a caller that left.

import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Server } from '../../src/server/server.ts';
import { openCommandConnection } from '../../src/store/connection.ts';
import { createOperator } from '../../src/store/operator.ts';
import { startBareServer } from '../support/bare-server.ts';
import { eventually } from '../support/eventually.ts';
import { expectBelow, msOf } from '../support/expect-below.ts';
import { createHandWorker, type HandWorker } from '../support/hand-worker.ts';
import { type Answer, call, post } from '../support/http.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { silent, startServer } from '../support/server.ts';

let redis: TestRedis;
let server: Server;
let twin: Server;
let worker: HandWorker;

beforeAll(async () => {
  redis = await startRedis();
  server = await startServer(redis.url);
  twin = await startServer(redis.url);
  worker = createHandWorker(redis.url);
  for (const one of [server, twin]) {
    await eventually(async () => (await call(`${one.url()}/readyz`)).status === 200);
  }
});

// Each test has a queue of its own.
let queue = 'q0';
let queues = 0;
beforeEach(() => {
  queue = `q${(queues += 1)}`;
});

afterAll(async () => {
  worker?.close();
  await twin?.stop();
  await server?.stop();
  await redis?.stop();
});

async function send(to = server): Promise<string> {
  const task = { type: 'add', input: { one: 1, two: 2 }, queue };
  const { status, body } = await post(`${to.url()}/v1/tasks`, task);
  expect(status).toBe(202);
  return String(body['id']);
}

interface Timed extends Answer {
  readonly ms: number;
}

/** Asks at once, and says how long the answer took. */
async function wait(id: string, query: string, init: RequestInit = {}, at = server): Promise<Timed> {
  const before = performance.now();
  const answer = await call(`${at.url()}/v1/tasks/${id}${query}`, init);
  return { ...answer, ms: performance.now() - before };
}

/** The event reader of a server listens on a connection of its own once somebody waits. */
function somebodyWaits(servers = 1): Promise<unknown> {
  return eventually(async () => {
    const clients = (await redis.client.client('LIST')) as string;
    return clients.split('\n').filter((line) => / cmd=xread\b/.test(line)).length >= servers;
  });
}

test('without wait the record comes at once, whatever its state', async () => {
  await expectBelow(1_000, async () => {
    const answer = await wait(await send(), '');
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ state: 'ready', type: 'add', input: { one: 1, two: 2 }, attempt: 0 });
    return answer.ms;
  });
});

test('a wait is answered as soon as the task ends, not when it starts', async () => {
  await expectBelow(1_000, async () => {
    const id = await send();
    const answer = wait(id, '?wait=20');
    await somebodyWaits();
    expect(await worker.take(queue)).toBe(id);
    await expect(
      Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 200, 'waits'))]),
    ).resolves.toBe('waits');
    return msOf(async () => {
      await worker.end(id, 'succeeded', 3);
      expect(await answer).toMatchObject({
        status: 200,
        body: { id, state: 'succeeded', result: 3, worker: 'hand-worker' },
      });
    });
  });
});

test('a task that has ended answers a wait at once', async () => {
  const id = await send();
  await worker.take(queue);
  await worker.end(id, 'succeeded', 3);
  await expectBelow(1_000, async () => {
    const answer = await wait(id, '?wait=20');
    expect(answer.body['state']).toBe('succeeded');
    return answer.ms;
  });
});

test.each<['dead' | 'cancelled', unknown]>([
  ['dead', { name: 'Error', message: 'on purpose' }],
  ['cancelled', undefined],
])('a task that ends %s answers a wait too', async (word, payload) => {
  await expectBelow(5_000, async () => {
    const id = await send();
    const answer = wait(id, '?wait=20');
    await somebodyWaits();
    await worker.take(queue);
    await worker.end(id, word, payload);
    const { body, ms } = await answer;
    expect(body['state']).toBe(word);
    if (payload) expect(body['error']).toEqual(payload);
    return ms;
  });
});

test('a task that is cancelled before it runs answers a wait', async () => {
  const id = await send();
  const answer = wait(id, '?wait=20');
  await somebodyWaits();
  const command = openCommandConnection(silent(redis.url), 'operator', { socketTimeoutMs: 5_000 });
  await new Promise((resolve) => command.once('ready', resolve));
  expect(await createOperator(command).cancel(queue, id)).toBe('cancelled');
  command.disconnect();
  expect((await answer).body['state']).toBe('cancelled');
});

test('at its time-out a wait is answered with the record as it is then', async () => {
  await expectBelow(3_000, async () => {
    const id = await send();
    const answer = wait(id, '?wait=1');
    await somebodyWaits();
    expect(await worker.take(queue)).toBe(id);
    const { status, body, ms, headers } = await answer;
    expect([status, body['state']]).toEqual([200, 'running']);
    expect(body['result']).toBeUndefined();
    expect(headers.get('cache-control')).toBe('no-store');
    expect(ms).toBeGreaterThan(950);
    return ms;
  });
});

test('`Prefer: wait=1` is the same, and the answer says that it was followed', async () => {
  const id = await send();
  const answer = await wait(id, '', { headers: { prefer: 'respond-async, wait=1' } });
  expect(answer.ms).toBeGreaterThan(950);
  expect(answer.headers.get('preference-applied')).toBe('wait=1');
  // The query wins over the header; a preference that cannot be read is none.
  await expectBelow(900, async () => (await wait(id, '?wait=0', { headers: { prefer: 'wait=20' } })).ms);
  await expectBelow(900, async () => (await wait(id, '', { headers: { prefer: 'wait=soon' } })).ms);
});

test('a wait longer than is offered is cut, and the answer says so', async () => {
  const id = await send();
  const answer = wait(id, '?wait=999999');
  await somebodyWaits();
  await worker.take(queue);
  await worker.end(id, 'succeeded', 3);
  expect((await answer).headers.get('preference-applied')).toBe('wait=55');
});

test('fifty callers wait for five tasks on two servers, each gets its own', async () => {
  const ids = await Promise.all(Array.from({ length: 5 }, (_, at) => send(at % 2 ? twin : server)));
  const answers = Array.from({ length: 50 }, (_, at) => {
    const id = ids[at % 5] ?? '';
    return wait(id, '?wait=20', {}, at % 2 ? server : twin).then(({ body }) =>
      expect(body).toMatchObject({ id, result: id }),
    );
  });
  await somebodyWaits(2);
  for (let taken = 0; taken < 5; taken += 1) {
    const id = await worker.take(queue);
    await worker.end(id, 'succeeded', id);
  }
  await Promise.all(answers);
});

test('a wait on one server sees the end of a task that was sent to the other', async () => {
  await expectBelow(5_000, async () => {
    const id = await send(server);
    const answer = wait(id, '?wait=20', {}, twin);
    await somebodyWaits(1);
    await worker.take(queue);
    await worker.end(id, 'succeeded', 3);
    expect(await answer).toMatchObject({ status: 200, body: { state: 'succeeded' } });
    return (await answer).ms;
  });
});

/** Connections that wait for events now. */
async function readersOfEvents(): Promise<string[]> {
  const clients = (await redis.client.client('LIST')) as string;
  const reading = clients.split('\n').filter((one) => / name=popfleet:events .* cmd=xread /.test(one));
  return reading.map((one) => one.split(' ')[0] ?? '');
}

test('a server that stops answers those who wait with what it knows', async () => {
  await expectBelow(10_000, async () => {
    const stopping = await startServer(redis.url);
    const id = await send();
    const before = await readersOfEvents();
    const answer = wait(id, '?wait=30', {}, stopping);
    // Other servers of this file may have readers of their own.
    await eventually(async () => (await readersOfEvents()).some((reader) => !before.includes(reader)));
    await stopping.stop();
    expect(await answer).toMatchObject({ status: 200, body: { state: 'ready' } });
    return (await answer).ms;
  });
});

test('a caller that leaves is forgotten; the others still wait', async () => {
  const bare = await startBareServer(redis.url);
  const { url, waiters } = bare;
  try {
    await expectBelow(2_000, async () => {
      const id = await send();
      const leaving = new AbortController();
      const gone = [1, 2, 3].map(() =>
        fetch(`${url}/v1/tasks/${id}?wait=50`, { signal: leaving.signal }).catch(
          (error: Error) => error.name,
        ),
      );
      const staying = call(`${url}/v1/tasks/${id}?wait=20`);
      await eventually(() => waiters.count() === 4);
      leaving.abort();
      expect(await Promise.all(gone)).toEqual(['AbortError', 'AbortError', 'AbortError']);
      const ms = await msOf(() => eventually(() => waiters.count() === 1));
      await worker.take(queue);
      await worker.end(id, 'succeeded', 3);
      expect((await staying).body).toMatchObject({ state: 'succeeded', result: 3 });
      expect(waiters.count()).toBe(0);
      return ms;
    });
  } finally {
    await bare.stop();
  }
});
