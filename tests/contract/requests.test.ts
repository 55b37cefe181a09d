// Every operation of the document, with input that fits and with input that nearly does: no answer outside the document, no 5xx,
// and nothing is written by what was refused. CONTRACT_RUNS makes it longer (`npm run test:contract`).

import { encode } from 'cbor-x';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Server } from '../../src/server/server.ts';
import { type JsonSchema, nearly, valid } from '../support/arbitrary.ts';
import { eventually } from '../support/eventually.ts';
import { heldBytes } from '../support/garbage.ts';
import { call, post } from '../support/http.ts';
import {
  createJudge,
  type DocumentedOperation,
  documentOf,
  type Judge,
  operationsOf,
} from '../support/openapi.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startServer } from '../support/server.ts';

const RUNS = Number(process.env['CONTRACT_RUNS'] ?? 1_000);
/** Of all requests, those with input that fits. */
const FITTING = 0.3;
/** They read most of what callers write: each is asked more often than one that reads little. */
const SENDING: ReadonlySet<string> = new Set(['sendTask', 'sendTasks', 'sendTaskByPath', 'putSchedule']);
const MEMORY_GROWTH = 1.5;
/** So many requests later Redis is emptied: random names of queues would reach MAX_QUEUES, and all keys are read each time. */
const FRESH_EVERY = 500;

let redis: TestRedis;
let server: Server;
let operations: readonly DocumentedOperation[];
let judge: Judge;
/** Names that exist, for the parameters of paths. */
let known: Readonly<Record<string, readonly string[]>>;

beforeAll(async () => {
  redis = await startRedis();
  // Its Redis has no replicas, for which a task that asks for them would wait.
  server = await startServer(redis.url, undefined, { durableWaitMs: 1 });
  await eventually(async () => (await call(`${server.url()}/readyz`)).status === 200);
  const document = await documentOf(server.url());
  operations = operationsOf(document);
  judge = createJudge(document);
  await seed();
});
afterAll(async () => {
  await server?.stop();
  await redis?.stop();
});

async function seed(): Promise<void> {
  const url = server.url();
  const input = { one: 1, two: 2 };
  const accepted = async (more: object): Promise<string> =>
    String((await post(`${url}/v1/tasks`, { type: 'add', input, ...more })).body['id']);
  known = {
    id: [await accepted({}), await accepted({ delayMs: 3_600_000 }), await accepted({ priority: 'low' })],
    queue: ['default'],
    name: ['every-hour'],
    type: ['add', 'greet'],
  };
  await call(`${url}/v1/schedules/every-hour`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ everyMs: 3_600_000, type: 'add', input }),
  });
}

interface Sending {
  readonly operationId: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array<ArrayBuffer> | undefined;
}

const oddText = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.constantFrom('..', '.', '%2e%2e', '%', '{x}', '*', ':', '\u0000', '1e9', '-1', 'a'.repeat(2_000)),
);

/** Headers that the server reads; with what a client can send at all. */
const headerText = fc.oneof(
  oddText.map((text) => text.replaceAll(/[^\t\x20-\x7e]/g, '').trim()),
  fc.constantFrom(
    '"a',
    '"\\"',
    'wait=1e9',
    'wait=-1',
    'return=minimal',
    'application/cbor',
    'x/y;q=9',
    'default@1-1@',
  ),
);
const oddHeaders = fc.record(
  Object.fromEntries(
    [
      'idempotency-key',
      'prefer',
      'accept',
      'last-event-id',
      'traceparent',
      'authorization',
      'x-request-id',
    ].map((name) => [name, headerText]),
  ),
  { requiredKeys: [] },
) as fc.Arbitrary<Record<string, string>>;

const requests = {
  fitting: new Map<string, fc.Arbitrary<Sending>>(),
  odd: new Map<string, fc.Arbitrary<Sending>>(),
};

/** Requests to one operation. To make what makes them costs more than a request: it is kept. */
function requestTo(operation: DocumentedOperation, fits: boolean): fc.Arbitrary<Sending> {
  const kept = fits ? requests.fitting : requests.odd;
  const madeBefore = kept.get(operation.operationId);
  if (madeBefore) return madeBefore;
  const made = makeRequestTo(operation, fits);
  kept.set(operation.operationId, made);
  return made;
}

function makeRequestTo(operation: DocumentedOperation, fits: boolean): fc.Arbitrary<Sending> {
  const values = (name: string): fc.Arbitrary<string> => fc.constantFrom(...(known[name] ?? ['x']));
  const ofPath = operation.parameters.filter(({ in: where }) => where === 'path');
  const ofQuery = operation.parameters.filter(({ in: where }) => where === 'query');
  const path = fc.record(
    Object.fromEntries(
      ofPath.map(({ name }) => [name, fits ? values(name) : fc.oneof(values(name), oddText)]),
    ),
  );
  const query = fc.record(
    Object.fromEntries(
      ofQuery.map(({ name, schema }) => [name, fits ? textOf(schema) : fc.oneof(textOf(schema), oddText)]),
    ),
    { requiredKeys: [] },
  );
  const more = fits ? fc.constant({}) : oddHeaders;
  return fc.tuple(path, query, more, bodyOf(operation, fits)).map(([named, asked, odd, [type, body]]) => {
    const filled = operation.path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
      encodeURIComponent(named[name] ?? ''),
    );
    const search = new URLSearchParams(withoutWait(asked)).toString();
    return {
      operationId: operation.operationId,
      path: search === '' ? filled : `${filled}?${search}`,
      headers: { ...odd, ...(type === undefined ? {} : { 'content-type': type }) },
      body,
    };
  });
}

const textOf = (schema: JsonSchema): fc.Arbitrary<string> => valid(schema).map(String);

/** A wait is tested elsewhere: here it would only take time. */
function withoutWait(query: Partial<Record<string, string>>): Record<string, string> {
  const entries = Object.entries(query).filter(([, value]) => value !== undefined) as [string, string][];
  return Object.fromEntries(entries.map(([name, value]) => [name, name === 'wait' ? '0' : value]));
}

type Body = readonly [type: string | undefined, bytes: Uint8Array<ArrayBuffer> | undefined];

function bodyOf({ requestBody, operationId }: DocumentedOperation, fits: boolean): fc.Arbitrary<Body> {
  if (!requestBody) return fc.constant([undefined, undefined]);
  const media = Object.entries(requestBody.content);
  const fitting = fc
    .constantFrom(...media)
    .chain(([type, { schema }]) =>
      valid(schema).map((value): Body => [type, write(type, asItMustBe(operationId, value))]),
    );
  if (fits) return fitting;
  const wrong = fc
    .constantFrom(...media)
    .chain(([type, { schema }]) => nearly(schema).map((value): Body => [type, write(type, value)]));
  const bytes = fc
    .tuple(
      fc.constantFrom(...media.map(([type]) => type), 'text/plain', ''),
      fc.uint8Array({ maxLength: 200 }),
    )
    .map(([type, value]): Body => [type, Uint8Array.from(value)]);
  const cut = fitting.map(([type, value]): Body => [type, value?.slice(0, value.length >> 1)]);
  return fc.oneof(wrong, wrong, bytes, cut);
}

const RECEIVER = 'https://example.org/hook';

/** What the document cannot say: which input a type in the path takes, and what excludes each other. */
function asItMustBe(operationId: string, value: unknown): unknown {
  if (operationId === 'sendTaskByPath') return { one: 1, two: 2 };
  if (Array.isArray(value)) return value.map((item) => asItMustBe('sendTask', item));
  const fields = { ...(value as Record<string, unknown>) };
  if ('delayMs' in fields) delete fields['runAt'];
  if ('ttlMs' in fields) delete fields['expiresAt'];
  if ('url' in fields) fields['url'] = RECEIVER;
  if ('webhook' in fields) fields['webhook'] = { ...(fields['webhook'] as object), url: RECEIVER };
  if (operationId !== 'putSchedule' && operationId !== 'checkSchedule') return fields;
  const { cron: _, timeZone: __, workflow, ...rest } = fields;
  const starts = workflow === undefined ? {} : { workflow: flowAsItMustBe(workflow) };
  return { everyMs: 60_000, ...rest, ...starts };
}

/** Of a type that there is, and in no queue of its own: random names would be too many. */
function flowAsItMustBe(workflow: unknown): unknown {
  const { tasks, ...rest } = workflow as { readonly tasks: Readonly<Record<string, object>> };
  const steps = Object.entries(tasks).map(([name, { maxAttempts }]: [string, { maxAttempts?: unknown }]) => [
    name,
    { type: 'add', input: { one: 1, two: 2 }, maxAttempts },
  ]);
  return { ...rest, tasks: Object.fromEntries(steps) };
}

function write(type: string, value: unknown): Uint8Array<ArrayBuffer> {
  const items = Array.isArray(value) ? (value as readonly unknown[]) : [value];
  if (type === 'application/cbor') return Uint8Array.from(encode(value));
  if (type === 'application/cbor-seq')
    return Uint8Array.from(Buffer.concat(items.map((item) => encode(item))));
  if (type === 'application/x-ndjson' || type === 'application/jsonl')
    return Uint8Array.from(Buffer.from(items.map((item) => JSON.stringify(item)).join('\n')));
  return Uint8Array.from(Buffer.from(JSON.stringify(value) ?? ''));
}

const WRITTEN = `
  local found = {}
  local sizes = { hash = 'HLEN', list = 'LLEN', set = 'SCARD', zset = 'ZCARD', stream = 'XLEN', string = 'GET' }
  for _, key in ipairs(redis.call('KEYS', '*')) do
    if string.sub(key, -6) ~= ':queue' then
      found[#found + 1] = key .. ' ' .. tostring(redis.call(sizes[redis.call('TYPE', key).ok], key))
    end
  end
  local counts = redis.call('HGETALL', 'pf:{default}:count')
  for at = 1, #counts, 2 do found[#found + 1] = counts[at] .. ' ' .. counts[at + 1] end
  return found`;

/** What stands in Redis, as far as a request could change it; the scripts' clock is left out. */
async function written(): Promise<ReadonlySet<string>> {
  return new Set((await redis.client.eval(WRITTEN, 0)) as string[]);
}

/** As `written`, once what follows the ends of tasks and batches is there: it comes a little later than the answer. */
async function settled(): Promise<ReadonlySet<string>> {
  await expect.poll(() => redis.client.keys('pf:*:outbox')).toEqual([]);
  return written();
}

async function send({ operationId, path, headers, body }: Sending): Promise<number> {
  const operation = operations.find((one) => one.operationId === operationId);
  if (!operation) throw new Error(`no operation ${operationId}`);
  const gone = new AbortController();
  const response = await fetch(`${server.url()}${path}`, {
    method: operation.method,
    headers,
    signal: gone.signal,
    ...(body === undefined ? {} : { body }),
  });
  const type = response.headers.get('content-type');
  const isStream = type?.startsWith('text/event-stream') === true;
  const text = isStream ? '' : await response.text();
  gone.abort();
  // An odd name may make another path of it (an empty one leaves a slash at the end), and another operation answers.
  const [plain = ''] = path.split('?', 1);
  const isOther =
    response.status === 404 ||
    response.status === 405 ||
    new URL(path, server.url()).pathname !== plain ||
    plain.endsWith('/');
  const fault = judge.faultOf(operation, response.status, type, isStream ? '' : text);
  if (fault !== undefined && !isOther) throw new Error(`${operation.method} ${path}: ${fault}`);
  expect(response.status, `${operation.method} ${path}: ${text.slice(0, 300)}`).toBeLessThan(500);
  return response.status;
}

test(`${RUNS} requests to all operations`, { timeout: 180_000 + RUNS * 60 }, async () => {
  const seen = new Map<string, Set<number>>();
  const chosen = operations.map((operation) => ({
    arbitrary: fc.constant(operation),
    weight: SENDING.has(operation.operationId) ? 4 : 1,
  }));
  const any = fc
    .tuple(fc.oneof(...chosen), fc.double({ min: 0, max: 1, noNaN: true }))
    .chain(([operation, luck]) => requestTo(operation, luck < FITTING));
  const from = Number(process.env['CONTRACT_SEED'] ?? Math.trunc(Math.random() * 0x7f_ff_ff_ff));
  // However few there are, each operation is among them.
  const examples = operations.flatMap((operation) =>
    fc.sample(requestTo(operation, true), { numRuns: 1, seed: from }).map((sending): [Sending] => [sending]),
  );
  let begun = 0;
  let memory = 0;
  /** What stands there, when nothing was written since it was read. */
  let unchanged: ReadonlySet<string> | undefined;
  await fc.assert(
    fc.asyncProperty(any, async (sending) => {
      if (begun % FRESH_EVERY === 0) {
        await redis.client.flushall();
        unchanged = undefined;
      }
      const before = unchanged ?? (await settled());
      unchanged = undefined;
      const status = await send(sending);
      if (status >= 400) {
        unchanged = await written();
        // Idempotency keys may have expired meanwhile; nothing may have come.
        const come = [...unchanged].filter((entry) => !before.has(entry));
        expect(come, `${sending.operationId} ${status}`).toEqual([]);
      }
      const { operationId } = sending;
      seen.set(operationId, (seen.get(operationId) ?? new Set()).add(status));
      begun += 1;
      if (begun === Math.ceil(RUNS / 4)) memory = heldBytes();
    }),
    { numRuns: RUNS, seed: from, examples },
  );
  expect(heldBytes()).toBeLessThan(memory * MEMORY_GROWTH + 64 * 1024 * 1024);
  // Whoever refuses everything keeps the contract as well.
  const unused = operations.filter(({ operationId }) => !seen.has(operationId));
  expect(unused.map(({ operationId }) => operationId)).toEqual([]);
  const statuses = new Set([...SENDING].flatMap((operationId) => Array.from(seen.get(operationId) ?? [])));
  for (const status of [202, 400, 422]) expect([...statuses]).toContain(status);
  expect(Object.getOwnPropertyNames(Object.prototype)).not.toContain('extra0');
});

test('input that fits is taken, whichever form it has', async () => {
  await redis.client.flushall();
  const taking = operations.filter(({ operationId }) => ['sendTask', 'putSchedule'].includes(operationId));
  expect(taking).toHaveLength(2);
  for (const operation of taking) {
    const sent = fc.sample(requestTo(operation, true), 40);
    const statuses: number[] = [];
    // Some at once: all of them would begin anew for each other again and again, as they put one name.
    for (let at = 0; at < sent.length; at += 8) {
      statuses.push(...(await Promise.all(sent.slice(at, at + 8).map(send))));
    }
    // A check of two fields together (runAt and delayMs) has no form in the document.
    expect(statuses.filter((status) => status < 300).length, operation.operationId).toBeGreaterThan(0);
    // The one name of all schedules may come to stand in several queues, by `?queue=` and by two requests at once.
    const isAmbiguous = (status: number): boolean =>
      status === 409 && operation.operationId === 'putSchedule';
    expect(statuses.filter((status) => status !== 422 && status >= 400 && !isAmbiguous(status))).toEqual([]);
  }
});
