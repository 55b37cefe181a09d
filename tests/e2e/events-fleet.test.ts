// Events over the whole fleet, and a crowd of listeners at one server: all are told, and nothing of them stays.

import { readdirSync, readFileSync } from 'node:fs';
import { Agent, get } from 'node:http';
import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { expectBelow } from '../support/expect-below.ts';
import type { RoleProcess } from '../support/fleet.ts';
import { call } from '../support/http.ts';
import { send } from '../support/life.ts';
import { openStage } from '../support/stage.ts';
import { movesOf, openSse, openForTest, type SseClient } from '../support/sse.ts';

const INPUT = { one: 1, two: 2 };

test('two servers, three workers: each server tells of tasks that were sent to the other', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const env = { REDIS_URL: redis.url, TASK_DURATION_MS: '300', CONCURRENCY: '1' };
  const [here, there] = await Promise.all([stage.here('server', env), stage.here('server', env)]);
  await Promise.all([1, 2, 3].map(() => stage.here('worker', env)));
  await eventually(async () => (await call(`${here.url()}/v1/queues/default`)).status === 200);
  const all = await openForTest(`${here.url()}/v1/events?topics=queue:default`);
  await eventually(() => all.lastId() !== '');
  await call(`${there.url()}/v1/queues/default/pause`, { method: 'POST' });

  const ids = await Promise.all(Array.from({ length: 9 }, () => send(there.url(), 'add', INPUT)));
  const polls = ids.map((id) => call(`${here.url()}/v1/tasks/${id}?wait=20`));
  const clients = await Promise.all(ids.map((id) => openForTest(`${here.url()}/v1/tasks/${id}/events`)));
  await Promise.all(clients.map((client) => client.until('snapshot')));
  expect(clients.map((client) => client.named('snapshot')[0]?.data['state'])).toEqual(ids.map(() => 'ready'));
  await call(`${there.url()}/v1/queues/default/resume`, { method: 'POST' });

  for (const poll of await Promise.all(polls))
    expect(poll.body).toMatchObject({ state: 'succeeded', result: 3 });
  await Promise.all(clients.map(({ over }) => over));
  for (const [at, client] of clients.entries()) {
    expect(movesOf(client).slice(-2)).toEqual([`${ids[at]}running`, `${ids[at]}succeeded`]);
    expect(client.events.at(-1)).toMatchObject({ name: 'end', data: { id: ids[at], result: 3 } });
  }
  const workers = new Set(clients.map((client) => client.events.at(-1)?.data['worker']));
  expect(workers.size).toBe(3);
  await eventually(() => movesOf(all).filter((move) => move.endsWith('succeeded')).length === ids.length);
  for (const id of ids) {
    const moves = movesOf(all).filter((move) => move.startsWith(id));
    expect([moves[0], ...moves.slice(-2)]).toEqual(
      ['ready', 'running', 'succeeded'].map((state) => id + state),
    );
  }
});

const POLLS = 400;
const STREAMS = 200;
const TASKS = 20;
const COMING = 100;

test('a crowd at one server is told, and nothing of it stays', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const env = { REDIS_URL: redis.url };
  // With a small heap everything that nobody holds is gone soon, and what stays shows.
  const NODE_OPTIONS = '--max-old-space-size=96 --max-semi-space-size=2';
  const server = await stage.role('server', { ...env, NODE_OPTIONS });
  await stage.here('worker', { ...env, CONCURRENCY: '4' });
  await eventually(async () => (await call(`${server.url()}/v1/queues/default`)).status === 200);

  await crowd(server);
  // What two crowds of 600 listeners would leave behind, at 13 kB each. Usually nothing stays.
  await expectBelow(
    15_600_000,
    async () => {
      const before = memoryOf(server);
      await crowd(server);
      await crowd(server);
      return memoryOf(server) - before;
    },
    3,
  );
});

/** Comes while the queue is paused, is told when it goes on, and leaves. */
async function crowd(server: RoleProcess): Promise<void> {
  await call(`${server.url()}/v1/queues/default/pause`, { method: 'POST' });
  const ids = await Promise.all(Array.from({ length: TASKS }, () => send(server.url(), 'add', INPUT)));
  const agent = new Agent({ keepAlive: false, maxSockets: POLLS + STREAMS });
  const idle = descriptorsOf(server);
  const polls: Promise<string>[] = [];
  const streams: SseClient[] = [];
  // So many at a time that a slow machine answers each within the time that commands to Redis have.
  for (let at = 0; at < POLLS; at += COMING) {
    const some = Array.from({ length: COMING }, (_, more) => (at + more) % TASKS);
    polls.push(...some.map((index) => stateOf(`${server.url()}/v1/tasks/${ids[index]}?wait=50`, agent)));
    await eventually(() => descriptorsOf(server) >= idle + polls.length);
    await call(`${server.url()}/v1/tasks/${ids[0]}`);
  }
  // Half of them follow one task, half of them the queue.
  for (let at = 0; at < STREAMS; at += COMING) {
    const paths = Array.from({ length: COMING }, (_, more) =>
      more % 2 ? `tasks/${ids[(at + more) % TASKS]}/events` : 'events?topics=queue:default&states=succeeded',
    );
    streams.push(
      ...(await Promise.all(paths.map((path) => openStream(`${server.url()}/v1/${path}`, agent)))),
    );
  }
  expect(new Set(streams.map(({ response }) => response.statusCode))).toEqual(new Set([200]));
  await eventually(() => descriptorsOf(server) >= idle + POLLS + STREAMS);
  await Promise.all(streams.filter((_, at) => at % 2).map((client) => client.until('snapshot')));
  await call(`${server.url()}/v1/queues/default/resume`, { method: 'POST' });

  expect(new Set(await Promise.all(polls))).toEqual(new Set(['succeeded']));
  for (const [at, client] of streams.entries()) {
    if (at % 2) {
      await client.over;
      // A worker that waited for a task as the queue was paused has given it back first.
      expect(movesOf(client).slice(-2)).toEqual(
        ['running', 'succeeded'].map((state) => `${ids[at % TASKS]}${state}`),
      );
      expect(client.events.at(-1)?.name).toBe('end');
    } else {
      await client.until('state', TASKS);
      expect(movesOf(client).toSorted()).toEqual(ids.map((id) => `${id}succeeded`).toSorted());
      client.cut();
    }
  }
  agent.destroy();
  await eventually(() => descriptorsOf(server) <= idle + 3);
}

async function openStream(url: string, agent: Agent, triesLeft = 5): Promise<SseClient> {
  const client = await openSse(url, { agent });
  if (client.response.statusCode !== 503 || triesLeft <= 1) return client;
  client.cut();
  return openStream(url, agent, triesLeft - 1);
}

async function stateOf(url: string, agent: Agent, triesLeft = 5): Promise<string> {
  const { state, code } = await answerOf(url, agent);
  // A machine that is very busy may leave Redis unheard for a moment.
  if (code === 'redis-unavailable' && triesLeft > 1) return stateOf(url, agent, triesLeft - 1);
  return state ?? String(code);
}

function answerOf(url: string, agent: Agent): Promise<{ state?: string; code?: string }> {
  return new Promise((resolve, reject) => {
    get(url, { agent }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => resolve(JSON.parse(text) as { state?: string; code?: string }));
    }).once('error', reject);
  });
}

function descriptorsOf({ pid }: RoleProcess): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** Bytes. */
function memoryOf({ pid }: RoleProcess): number {
  return 1_024 * Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}
