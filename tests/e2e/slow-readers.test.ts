// Clients that send requests and read nothing: what that may cost the server, and when they are cut.

import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { createServerRole } from '../../src/server/server.ts';
import { createSlowReaders } from '../../src/server/slow-readers.ts';
import { createLog } from '../../src/log.ts';
import { eventually } from '../support/eventually.ts';
import { expectBelow } from '../support/expect-below.ts';
import { endAll, type RoleProcess, startRole } from '../support/fleet.ts';
import { call, post } from '../support/http.ts';
import { makeKey } from '../support/keys.ts';
import { rawExchange } from '../support/raw-http.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { SERVER_SETTINGS, testRegistry } from '../support/server.ts';
import { residentBytes } from '../support/usage.ts';

const MB = 1_048_576;
const key = makeKey();

let redis: TestRedis;
let server: RoleProcess;

beforeAll(async () => {
  redis = await startRedis();
  server = await startRole('server', { REDIS_URL: redis.url, API_KEYS: key.entry });
});

afterAll(async () => {
  await endAll([server]);
  await redis?.stop();
});

/** Sends bytes and reads nothing. */
function openDeaf(url: string, bytes: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => socket.write(bytes, () => resolve(socket)));
    socket.pause();
    socket.once('error', reject);
    socket.on('error', () => undefined);
    onTestFinished(() => void socket.destroy());
  });
}

const getOf = (path: string, headers: Record<string, string> = {}): string => {
  const lines = Object.entries({ host: 'localhost', ...headers }).map(([name, value]) => `${name}: ${value}`);
  return `GET ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`;
};

/** How much larger the process gets when so many connections ask for something eight times each and read nothing. */
async function growth(connections: number, request: string): Promise<number> {
  const before = residentBytes(server.pid);
  await Promise.all(Array.from({ length: connections }, () => openDeaf(server.url(), request.repeat(8))));
  // Behind all of them: they have been read by then.
  for (let round = 0; round < 20; round += 1) {
    expect((await call(`${server.url()}/healthz`)).status).toBe(200);
  }
  return residentBytes(server.pid) - before;
}

test('case 20: files and the document are sent from one buffer, whoever asks and does not read', async () => {
  // 1.7 MB: 150 connections × 8 would be 2 GB of answers.
  for (const path of ['/docs/swagger-ui-bundle.js', '/openapi.json']) {
    const { length } = await (await fetch(`${server.url()}${path}`)).text();
    expect(length).toBeGreaterThan(20_000);
    await expectBelow(100 * MB, () => growth(150, getOf(path)));
  }
});

test('case 20: only one answer of a connection is made at a time', async () => {
  const sent = await post(`${server.url()}/v1/tasks`, { type: 'add', input: { one: 1, two: 2 } }, key.bearer);
  const id = String(sent.body['id']);
  await redis.client.config('RESETSTAT');
  const request = getOf(`/v1/tasks/${id}?wait=30`, key.bearer);
  const sockets = await Promise.all(
    Array.from({ length: 5 }, () => openDeaf(server.url(), request.repeat(8))),
  );
  // Each connection waits for the first of its answers only.
  const reads = async (): Promise<number> => {
    const stats = await redis.client.info('commandstats');
    return Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1] ?? 0);
  };
  await eventually(async () => (await reads()) >= 5);
  for (let round = 0; round < 50; round += 1) await call(`${server.url()}/healthz`);
  expect(await reads()).toBeLessThan(5 * 4);
  for (const socket of sockets) socket.destroy();
});

test('case 20: requests that were sent ahead are all answered, in order', async () => {
  const paths = ['/healthz', '/docs/start.js', '/nothing', '/openapi.json', '/readyz'];
  const requests = Array.from({ length: 40 }, (_, at) =>
    getOf(paths[at % 5] ?? '', { 'x-request-id': `n${at}` }),
  );
  const last = getOf('/healthz', { 'x-request-id': 'last', connection: 'close' });
  const answers = await rawExchange(server.url(), `${requests.join('')}${last}`);
  const ids = Array.from(answers.matchAll(/^x-request-id: (\w+)\r$/gim), ([, id]) => id);
  expect(ids).toEqual([...requests.map((_, at) => `n${at}`), 'last']);
});

test('case 20: a connection that sends far too many ahead is closed, others are served', async () => {
  const socket = await openDeaf(server.url(), getOf('/docs/swagger-ui-bundle.js').repeat(2_000));
  let isGone = false;
  socket.once('close', () => {
    isGone = true;
  });
  socket.resume();
  await eventually(() => isGone);
  expect((await call(`${server.url()}/healthz`)).status).toBe(200);
});

test('case 20: an answer of which nothing is taken is cut, one that is taken slowly is not', async () => {
  const connection = { url: redis.url, log: createLog('silent', {}) };
  const slowReaders = { stallMs: 2_000, pressedStallMs: 2_000, pendingBytes: 1_000 * MB };
  const settings = { ...SERVER_SETTINGS, bodyLimitBytes: MB, slowReaders };
  const parts = { connection, registry: await testRegistry(), log: connection.log };
  const cutting = createServerRole(settings, parts);
  await cutting.start();
  onTestFinished(() => cutting.stop());
  const request = getOf('/docs/swagger-ui-bundle.js').repeat(8);
  const deaf = await openDeaf(cutting.url(), request);
  const slow = await openDeaf(cutting.url(), request);
  let taken = 0;
  let isSlowGone = false;
  slow.once('close', () => {
    isSlowGone = true;
  });
  // A piece now and then, for longer than an answer may stand still.
  const reading = setInterval(() => {
    taken += (slow.read(300_000) as Buffer | null)?.length ?? slow.read()?.length ?? 0;
  }, 100);
  onTestFinished(() => clearInterval(reading));
  const since = performance.now();
  await eventually(() => {
    // Only a write tells: nothing is read.
    deaf.write('\r\n');
    return deaf.destroyed;
  }, 20_000);
  expect(performance.now() - since).toBeGreaterThan(1_000);
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  expect(isSlowGone).toBe(false);
  expect(taken).toBeGreaterThan(300_000);
});

/** What the look sees of a socket. */
interface Stage {
  readonly socket: Socket;
  isCut(): boolean;
  set(writableLength: number, bytesWritten: number, writeQueueSize: number): void;
}

function stageSocket(): Stage {
  let isCut = false;
  const seen = { writableLength: 0, bytesWritten: 0, _handle: { writeQueueSize: 0 } };
  const socket = Object.assign(seen, { once: () => undefined, destroy: () => void (isCut = true) });
  return {
    socket: socket as unknown as Socket,
    isCut: () => isCut,
    set(writableLength, bytesWritten, writeQueueSize) {
      Object.assign(seen, { writableLength, bytesWritten, _handle: { writeQueueSize } });
    },
  };
}

test('case 20: progress is what the reader takes, not what the server adds; many answers at once are cut sooner', () => {
  let now = 0;
  const readers = createSlowReaders(
    { stallMs: 30_000, pressedStallMs: 5_000, pendingBytes: 1_000 },
    () => now,
  );
  const look = (atMs: number): void => {
    now = atMs;
    readers.look();
  };
  const [idle, still, fed, moving] = [stageSocket(), stageSocket(), stageSocket(), stageSocket()];
  for (const { socket } of [idle, still, fed, moving]) readers.watch(socket);
  still.set(100, 500, 100);
  fed.set(100, 500, 100);
  moving.set(100, 500, 100);
  look(0);
  for (let at = 1; at <= 29; at += 1) {
    fed.set(100 + at, 500 + at, 100);
    moving.set(100, 500, 100 - at);
    look(at * 1_000);
  }
  expect([still, fed, moving].map(({ isCut }) => isCut())).toEqual([false, false, false]);
  moving.set(200, 700, 100); // its piece went through, and the next is under way
  look(30_000);
  expect([idle, still, fed, moving].map(({ isCut }) => isCut())).toEqual([false, true, true, false]);

  const [old, young, large] = [stageSocket(), stageSocket(), stageSocket()];
  const pressed = createSlowReaders(
    { stallMs: 30_000, pressedStallMs: 5_000, pendingBytes: 1_000 },
    () => now,
  );
  for (const { socket } of [old, young, large]) pressed.watch(socket);
  old.set(400, 400, 400);
  now = 0;
  pressed.look();
  now = 3_000;
  young.set(400, 400, 400);
  pressed.look();
  now = 6_000;
  large.set(500, 500, 500);
  pressed.look();
  // 1,300 bytes wait: the one that stood still for the longest goes, and then there is room.
  expect([old, young, large].map(({ isCut }) => isCut())).toEqual([true, false, false]);
});
