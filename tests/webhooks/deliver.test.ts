// One attempt of a delivery: what is sent, what counts as taken, and what a receiver cannot do.

import { randomBytes } from 'node:crypto';
import { brotliCompressSync, constants } from 'node:zlib';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { PopfleetError } from '../../src/protocol/errors.ts';
import { encodeContent } from '../../src/protocol/message.ts';
import { decodeStored } from '../../src/protocol/cbor.ts';
import { WEBHOOK_TYPE } from '../../src/protocol/webhook.ts';
import type { DeliveryAttempt, Endpoint } from '../../src/store/webhook-endpoints.ts';
import { createDeliver, type DeliverDeps } from '../../src/webhooks/deliver.ts';
import { createGuard, type Resolve } from '../../src/webhooks/guard.ts';
import { createSecret } from '../../src/webhooks/signature.ts';
import { type Job, type RunEnd, StopSource } from '../../src/worker/runners/runner.ts';
import { openReceiver, type Receiver } from '../support/receiver.ts';
import { silentLog } from '../support/store.ts';

const SHARED = createSecret();
const OWN = createSecret();
const BODY = JSON.stringify({ type: 'task.dead', data: { id: 'x', error: 'Grüße' } });

let receiver: Receiver;
let endpoint: Endpoint;
let attempts: DeliveryAttempt[];
let disabled: string[];

beforeAll(async () => {
  receiver = await openReceiver();
});
afterAll(() => receiver?.close());
beforeEach(() => {
  receiver.answer = 204;
  (receiver.received as unknown[]).length = 0;
  endpoint = { id: 'wh_1', url: receiver.url, createdAt: 0, secrets: [{ secret: OWN }] };
  attempts = [];
  disabled = [];
});

interface Options extends Partial<DeliverDeps> {
  readonly input?: object;
  readonly attempt?: number;
  readonly stop?: StopSource;
  readonly allow?: readonly string[];
  readonly resolve?: Resolve;
}

function run({
  input,
  attempt = 1,
  stop = new StopSource(),
  allow = ['127.0.0.1'],
  resolve,
  ...more
}: Options = {}) {
  const delivery = {
    task: 'x',
    queue: 'default',
    event: 'task.dead',
    body: BODY,
    url: receiver.url,
    ...input,
  };
  const job: Job = {
    queue: 'webhooks',
    id: '0193a1b2-c3d4-7abc-8def-0123456789ab',
    type: WEBHOOK_TYPE,
    claim: attempt,
    content: encodeContent(WEBHOOK_TYPE, delivery),
    attempt,
    timeoutMs: undefined,
  };
  const deliver = createDeliver({
    endpoints: {
      find: async (id) => (id === endpoint.id ? endpoint : undefined),
      shared: async () => [{ secret: SHARED }],
      disable: async (id) => void disabled.push(id),
      note: async (_, one) => void attempts.push(one),
    },
    guard: createGuard(allow, resolve),
    places: 4,
    log: silentLog,
    random: () => 0,
    ...more,
  });
  return deliver.run(job, stop) as Promise<RunEnd>;
}

/** What makes a failure: its text, whether another attempt follows, and when. */
function failureOf(end: RunEnd) {
  if (end.kind !== 'failed') throw new Error(`it ${end.kind}`);
  const { error, permanent, delayMs, stop } = end;
  return { message: error.message, code: error.code, permanent, delayMs, stop: stop?.reason };
}

test('each attempt is counted by how it went, one that was stopped is none', async () => {
  const results: string[] = [];
  const counted = (more: Options): Promise<RunEnd> =>
    run({ ...more, onAttempt: (result) => void results.push(result) });
  await counted({});
  receiver.answer = 500;
  await counted({});
  const away = new PopfleetError('redis-unavailable', 'Redis is away.');
  const endpoints = {
    find: () => Promise.reject(away),
    shared: () => Promise.reject(away),
    disable: () => Promise.reject(away),
    note: () => Promise.reject(away),
  };
  expect((await counted({ endpoints })).kind).toBe('snoozed');
  const stop = new StopSource();
  stop.stop('shutting-down');
  await counted({ stop });
  expect(results).toEqual(['delivered', 'failed', 'unsent']);
});

test('a message is signed and sent as it is; the result says how it was taken', async () => {
  const end = await run();
  expect(end.kind).toBe('succeeded');
  expect(end.kind === 'succeeded' && decodeStored(Buffer.from(end.result))).toMatchObject({ status: 204 });
  const [message] = receiver.received;
  expect(message).toMatchObject({
    path: '/hook',
    body: BODY,
    headers: {
      'content-type': 'application/json',
      'webhook-id': '0193a1b2-c3d4-7abc-8def-0123456789ab',
      host: `127.0.0.1:${receiver.port}`,
    },
  });
  expect(new Webhook(SHARED).verify(message?.body ?? '', message?.headers ?? {})).toEqual(JSON.parse(BODY));
  expect(attempts).toEqual([]);
});

test('an endpoint has a secret and a log of its own; both secrets sign while one goes', async () => {
  const old = createSecret();
  const over = createSecret();
  endpoint = {
    ...endpoint,
    secrets: [
      { secret: OWN },
      { secret: old, until: Date.now() + 9_999 },
      { secret: over, until: Date.now() - 1 },
    ],
  };
  const end = await run({ input: { url: undefined, endpoint: 'wh_1', message: 'again' } });
  expect(end.kind).toBe('succeeded');
  const [{ body, headers } = { body: '', headers: {} as Record<string, string> }] = receiver.received;
  for (const secret of [OWN, old]) expect(new Webhook(secret).verify(body, headers)).toBeTruthy();
  expect(() => new Webhook(over).verify(body, headers)).toThrow();
  expect(headers['webhook-id']).toBe('again');
  expect(attempts).toMatchObject([{ task: 'x', event: 'task.dead', status: 204 }]);
});

test.each([
  [200, 'succeeded'],
  [202, 'succeeded'],
  [299, 'succeeded'],
  [304, 'failed'],
  [400, 'failed'],
  [404, 'failed'],
  [500, 'failed'],
])('%i: it has %s', async (status, kind) => {
  receiver.answer = status;
  const end = await run();
  expect(end.kind).toBe(kind);
  if (end.kind === 'failed') {
    expect(failureOf(end)).toMatchObject({ code: String(status), permanent: false, delayMs: 5_000 });
  }
});

test('the next attempt comes later each time, by the table of Standard Webhooks', async () => {
  receiver.answer = 500;
  const minutes: number[] = [];
  for (let attempt = 1; attempt <= 10; attempt += 1) {
    minutes.push((failureOf(await run({ attempt })).delayMs ?? 0) / 60_000);
  }
  expect(minutes).toEqual([5 / 60, 5, 30, 120, 300, 600, 840, 1_200, 1_440, 0]);
  expect(failureOf(await run({ attempt: 2, random: () => 1 })).delayMs).toBe(330_000);
});

test.each([
  [503, '120', 120_000],
  [429, '1', 5_000],
  [503, '999999', 86_400_000],
  [503, 'soon', 5_000],
  [500, '120', 5_000],
])('%i with Retry-After %s', async (status, after, delayMs) => {
  receiver.answer = (response) => response.writeHead(status, { 'retry-after': after }).end();
  expect(failureOf(await run()).delayMs).toBe(delayMs);
});

test('410 ends it, and disables the endpoint; one that is disabled or gone is not called', async () => {
  receiver.answer = 410;
  expect(failureOf(await run())).toMatchObject({ permanent: true, code: '410' });
  expect(disabled).toEqual([]);
  const input = { url: undefined, endpoint: 'wh_1' };
  expect(failureOf(await run({ input }))).toMatchObject({ permanent: true });
  expect(disabled).toEqual(['wh_1']);
  endpoint = { ...endpoint, disabled: { at: 1, reason: 'no longer' } };
  expect(failureOf(await run({ input }))).toMatchObject({
    permanent: true,
    message: expect.stringContaining('no longer'),
  });
  expect(failureOf(await run({ input: { ...input, endpoint: 'wh_2' } })).message).toContain('was deleted');
  expect(receiver.received).toHaveLength(2);
});

test('a redirect is not followed, wherever it leads', async () => {
  receiver.answer = (response) => response.writeHead(307, { location: receiver.url }).end();
  expect(failureOf(await run()).message).toMatch(/answered 307, and redirects are not followed/);
  expect(receiver.received).toHaveLength(1);
});

test('the address that was checked is connected to: a name that changes its mind is not asked again', async () => {
  let asked = 0;
  const resolve: Resolve = async () => {
    asked += 1;
    return [{ address: asked === 1 ? '127.0.0.1' : '169.254.169.254', family: 4 }];
  };
  const url = `http://rebinding.example:${receiver.port}/hook`;
  expect((await run({ input: { url }, resolve })).kind).toBe('succeeded');
  expect(asked).toBe(1);
  expect(receiver.received[0]?.headers['host']).toBe(`rebinding.example:${receiver.port}`);
  expect(failureOf(await run({ input: { url }, resolve }))).toMatchObject({ permanent: true });
  expect(receiver.received).toHaveLength(1);
});

test('what is inside is not called unless it is allowed, and that is final', async () => {
  expect(failureOf(await run({ allow: [] }))).toMatchObject({
    permanent: true,
    message: expect.stringMatching(/127\.0\.0\.1 is not on the public internet/),
  });
  expect(receiver.received).toHaveLength(0);
});

test('an answer without an end is read no further than it has to be', async () => {
  let sent = 0;
  receiver.answer = (response) => {
    response.writeHead(200);
    const write = (): void => {
      while (!response.destroyed && response.write(randomBytes(65_536))) sent += 65_536;
    };
    response.on('drain', write);
    response.on('error', () => undefined);
    write();
  };
  expect((await run()).kind).toBe('succeeded');
  expect(sent).toBeLessThan(16 * 1_048_576);
});

test('an answer is not unpacked', async () => {
  const bomb = brotliCompressSync(Buffer.alloc(64 * 1_048_576), {
    params: { [constants.BROTLI_PARAM_QUALITY]: 1 },
  });
  receiver.answer = (response) => response.writeHead(200, { 'content-encoding': 'br' }).end(bomb);
  const before = process.memoryUsage().rss;
  expect((await run()).kind).toBe('succeeded');
  expect(process.memoryUsage().rss - before).toBeLessThan(32 * 1_048_576);
});

test('a receiver that says nothing is given up in time; one that has said 200 has taken it', async () => {
  receiver.answer = () => undefined;
  const hung = failureOf(await run({ limitMs: 100 }));
  expect(hung).toMatchObject({ permanent: false, message: expect.stringMatching(/no answer within/) });
  receiver.answer = (response) => void response.writeHead(200).write('slowly');
  expect((await run({ limitMs: 100 })).kind).toBe('succeeded');
});

test('nobody there, a connection that breaks, and a name without an address are tried again', async () => {
  receiver.answer = (response) => response.destroy();
  expect(failureOf(await run())).toMatchObject({ permanent: false, delayMs: 5_000 });
  const nobody = { input: { url: 'http://127.0.0.1:1/' } };
  expect(failureOf(await run(nobody)).message).toMatch(/cannot be reached: .*ECONNREFUSED/);
  const resolve: Resolve = async () => {
    throw Object.assign(new Error('no'), { code: 'ENOTFOUND' });
  };
  const unknown = failureOf(await run({ input: { url: 'http://nowhere.example/' }, resolve }));
  expect(unknown).toMatchObject({ permanent: false, message: expect.stringMatching(/ENOTFOUND/) });
  const hangs: Resolve = () => new Promise(() => undefined);
  const slow = failureOf(await run({ input: { url: 'http://slow.example/' }, resolve: hangs, limitMs: 50 }));
  expect(slow).toMatchObject({ permanent: false, message: expect.stringMatching(/not resolved in time/) });
});

test.each(['shutting-down', 'cancelled'] as const)(
  '%s: the call is broken off, and that is the reason',
  async (reason) => {
    const stop = new StopSource();
    receiver.answer = () => stop.stop(reason);
    expect(failureOf(await run({ stop })).stop).toBe(reason);
    expect(attempts).toEqual([]);
  },
);

test('a message of another program is refused for good', async () => {
  expect(failureOf(await run({ input: { body: 7 } }))).toMatchObject({ permanent: true });
});
