// What a failed call means to the caller: only Redis and the connection to it are blamed on Redis.

import { type AddressInfo, createServer, type Socket } from 'node:net';
import { once } from 'node:events';
import { Redis, ReplyError, type RedisOptions } from 'ioredis';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CborFault } from '../../src/protocol/cbor-scan.ts';
import { PopfleetError } from '../../src/protocol/errors.ts';
import {
  asksForNewConnection,
  faultOf,
  isReplyLost,
  type RedisFault,
  toStoreError,
} from '../../src/store/store-error.ts';
import { freePort, startRedis, type TestRedis } from '../support/redis.ts';

type Options = RedisOptions & { replyMapping?: 'legacy' };

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(async () => {
  await redis?.stop();
});

function reply(message: string): Error {
  return new (ReplyError as new (text: string) => Error)(message);
}

async function failureOf(call: Promise<unknown>): Promise<unknown> {
  try {
    await call;
  } catch (error) {
    return error;
  }
  throw new Error('it did not fail');
}

test.each<[string, RedisFault, boolean]>([
  ["READONLY You can't write against a read only replica.", 'readonly', true],
  [
    "READONLY You can't write against a read only replica. script: 0c66, on @user_script:1.",
    'readonly',
    true,
  ],
  [
    "ERR Error running script (call to f_0c66): @user_script:1: @user_script: 1: -READONLY You can't write against a read only replica.",
    'readonly',
    true,
  ],
  ['UNBLOCKED force unblock from blocking operation, instance state changed', 'readonly', true],
  ["MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", 'readonly', true],
  ['LOADING Redis is loading the dataset in memory', 'loading', true],
  ['NOAUTH Authentication required.', 'not authenticated', true],
  ['WRONGPASS invalid username-password pair or user is disabled.', 'not authenticated', true],
  ['CLUSTERDOWN Hash slot not served', 'cluster node', true],
  ['MOVED 3999 127.0.0.1:6381', 'cluster node', true],
  ['ASK 3999 127.0.0.1:6381', 'slot moving', false],
  ['TRYAGAIN Multiple keys request during rehashing of slot', 'slot moving', false],
  ['ERR SELECT is not allowed in cluster mode', 'cluster node', true],
  ['NOREPLICAS Not enough good replicas to write.', 'no replicas', true],
  ['ERR DB index is out of range', 'no such database', false],
  ['ERR max number of clients reached', 'too many clients', false],
  ["NOPERM this user has no permissions to run the 'hset' command", 'not permitted', false],
  [
    "ERR The user executing the script can't run this command or subcommand script: 7e34",
    'not permitted',
    false,
  ],
  ['BUSY Redis is busy running a script.', 'busy', false],
  ["OOM command not allowed when used memory > 'maxmemory'.", 'full', false],
  ['MISCONF Redis is configured to save RDB snapshots, but it is currently unable to persist', 'full', false],
])('case 3: %s', (message, fault, isNewConnectionAskedFor) => {
  const error = reply(message);
  expect(faultOf(error)).toBe(fault);
  expect(asksForNewConnection(error)).toBe(isNewConnectionAskedFor);
  expect(isReplyLost(error)).toBe(false);
  expect(toStoreError(error).code).toBe(fault === 'full' ? 'redis-full' : 'redis-unavailable');
});

test.each([
  new TypeError("Cannot read properties of undefined (reading 'name')"),
  new RangeError('Invalid array length'),
  new CborFault('a tag', 4),
  new Error('READONLY said by something else'),
  Object.assign(new Error("ENOENT: no such file, open 'lib.lua'"), { code: 'ENOENT', syscall: 'open' }),
  Object.assign(new TypeError('The "data" argument must be of type string'), {
    code: 'ERR_INVALID_ARG_TYPE',
  }),
  reply('ERR user_script:12: attempt to index a nil value script: 7e34'),
  reply('WRONGTYPE Operation against a key holding the wrong kind of value'),
  'a text',
  undefined,
])('case 6: a fault of ours (%s) is internal, keeps its cause, and is not repeated', (thrown) => {
  expect(faultOf(thrown)).toBeUndefined();
  expect(isReplyLost(thrown)).toBe(false);
  const error = toStoreError(thrown);
  expect(error.code).toBe('internal');
  expect(error.retryAfterSeconds).toBeUndefined();
  expect(error.cause).toBe(thrown);
});

test('an error of popfleet stays what it is', () => {
  const error = new PopfleetError('queue-full', 'The queue is full.');
  expect(toStoreError(error)).toBe(error);
});

test('case 6: every way in which a connection breaks is Redis that does not answer', async () => {
  const settings: Options = {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    retryStrategy: null,
    lazyConnect: true,
  };
  const open = async (url: string, more: Options = {}): Promise<Redis> => {
    const client = new Redis(url, { ...settings, ...more });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  };
  const mute = await listen(() => undefined);
  const plain = await listen((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));

  const failures = {
    refused: await failureOf(connectError(`redis://127.0.0.1:${await freePort()}`, settings)),
    'no such name': await failureOf(connectError('redis://no-such-host.invalid', settings)),
    'no such socket': await failureOf(connectError('/nowhere/redis.sock', settings)),
    'no TLS': await failureOf(connectError(`rediss://127.0.0.1:${plain.port}`, settings)),
    mute: await failureOf(connectError(`redis://127.0.0.1:${mute.port}`, { ...settings, socketTimeout: 50 })),
    closed: await closedUnder(await open(redis.url)),
    killed: await killedUnder(await open(redis.url)),
    'timed out': await timedOut(await open(redis.url, { commandTimeout: 50 })),
    'not connected': await failureOf(new Redis(redis.url, settings).get('x')),
  };
  mute.close();
  plain.close();
  for (const [name, failure] of Object.entries(failures)) {
    expect([name, faultOf(failure)], String(failure)).toEqual([name, 'unreachable']);
    expect(isReplyLost(failure)).toBe(true);
    expect(toStoreError(failure).code).toBe('redis-unavailable');
  }
});

interface Listening {
  readonly port: number;
  readonly close: () => void;
}

async function listen(onConnection: (socket: Socket) => void): Promise<Listening> {
  const server = createServer((socket) => onConnection(socket.on('error', () => undefined)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, close: () => server.close() };
}

/** Rejects with what the event `error` tells. */
function connectError(url: string, settings: Options): Promise<never> {
  const client = new Redis(url, settings);
  return new Promise((_, reject) => {
    client.on('error', reject);
    client.connect().catch(() => client.disconnect());
  });
}

async function closedUnder(client: Redis): Promise<unknown> {
  const pop = failureOf(client.brpop('nothing', 10));
  client.disconnect();
  return pop;
}

async function killedUnder(client: Redis): Promise<unknown> {
  const id = await client.client('ID');
  const pop = failureOf(client.brpop('nothing', 10));
  await redis.client.call('CLIENT', 'KILL', 'ID', String(id));
  return pop;
}

async function timedOut(client: Redis): Promise<unknown> {
  const failure = await failureOf(client.brpop('nothing', 10));
  client.disconnect();
  return failure;
}
