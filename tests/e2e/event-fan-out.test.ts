// Many event streams of the same queue cost little more than one.

import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { costRatio, expectBelow } from '../support/expect-below.ts';
import { endAll, type RoleProcess, startRole } from '../support/fleet.ts';
import { call } from '../support/http.ts';
import { makeKey } from '../support/keys.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { cpuSeconds } from '../support/usage.ts';

const STREAMS = 250;
const TASKS = 1_000;
const MOST_TRIES = 10;
const key = makeKey(['read', 'enqueue']);

let redis: TestRedis;
let server: RoleProcess;

beforeAll(async () => {
  redis = await startRedis({ appendonly: 'no' });
  server = await startRole('server', { REDIS_URL: redis.url, API_KEYS: key.entry });
  await send(1);
});

afterAll(async () => {
  await endAll([server]);
  await redis?.stop();
});

/** @returns the status of the answer */
async function send(count: number): Promise<number> {
  const tasks = Array.from({ length: count }, () => ({ type: 'add', input: { one: 1, two: 2 } }));
  const headers = { ...key.bearer, 'content-type': 'application/json' };
  const body = JSON.stringify(tasks);
  return (await call(`${server.url()}/v1/tasks/batch`, { method: 'POST', headers, body })).status;
}

interface Stream {
  readonly socket: Socket;
  /** Only counted: to read them would cost this process more than they cost the server. */
  bytes: number;
  /** This process has read too slowly, and was told to begin anew. */
  isReset: boolean;
}

function open(): Promise<Stream> {
  const { hostname, port } = new URL(server.url());
  return new Promise((resolve, reject) => {
    const head = `GET /v1/events?topics=queue:default HTTP/1.1\r\nHost: localhost\r\n`;
    const socket = connect(Number(port), hostname, () => {
      socket.write(`${head}Authorization: ${key.bearer['authorization']}\r\n\r\n`);
    });
    const stream = { socket, bytes: 0, isReset: false };
    socket.once('data', () => resolve(stream));
    socket.on('data', (data) => {
      stream.bytes += data.length;
      stream.isReset ||= data.includes('event: reset');
    });
    socket.once('error', reject);
  });
}

/**
 * CPU seconds of the server for a batch that so many streams are told of; `undefined` when the machine was too busy: for Redis to take
 * the batch, or for this process to read the streams.
 */
async function costOnce(streams: number): Promise<number | undefined> {
  const all = await Promise.all(Array.from({ length: streams }, open));
  try {
    const before = cpuSeconds(server.pid);
    const status = await send(TASKS);
    if (status === 503) return undefined;
    expect(status).toBe(202);
    // Some 140 bytes an event.
    await eventually(() => all.every(({ bytes, isReset }) => isReset || bytes > TASKS * 130));
    return all.some(({ isReset }) => isReset) ? undefined : cpuSeconds(server.pid) - before;
  } finally {
    for (const { socket } of all) socket.destroy();
  }
}

async function cost(streams: number): Promise<number> {
  for (let tries = 0; tries < MOST_TRIES; tries += 1) {
    const seconds = await costOnce(streams);
    if (seconds !== undefined) return seconds;
  }
  throw new Error(`the machine was too busy, ${MOST_TRIES} times`);
}

test(`case 22: ${STREAMS} streams that are told of a batch cost a few times what one costs`, async () => {
  for (let warm = 0; warm < 3; warm += 1) await cost(1);
  // Usually about twice as much; the text made for each stream, it was more than ten times.
  await expectBelow(6, () =>
    costRatio(
      () => cost(STREAMS),
      () => cost(1),
    ),
  );
});
