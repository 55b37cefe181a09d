// `popfleet mcp`, asked by the client of the SDK over stdin and stdout, in both revisions of the protocol.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { allToolsOf } from '../../src/mcp/tools.ts';
import type { ApiDocument } from '../../src/mcp/api-document.ts';
import { RESULT_CHARS } from '../../src/mcp/call-tool.ts';
import type { Server } from '../../src/server/server.ts';
import { docsPaths } from '../../src/docs-pages.ts';
import { BARE_ENV } from '../support/bare-env.ts';
import { eventually } from '../support/eventually.ts';
import { post } from '../support/http.ts';
import { makeKey } from '../support/keys.ts';
import { documentOf, operationsOf } from '../support/openapi.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startServer } from '../support/server.ts';

const CLI = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
const INPUT = { one: 1, two: 2 };
const admin = makeKey();
const reader = makeKey(['read']);

let redis: TestRedis;
let server: Server;
/** One that may only read, and one that may write, with all scopes; both are open for the whole file. */
let reading: Client;
let writing: Client;
const more: Client[] = [];

beforeAll(async () => {
  redis = await startRedis();
  server = await startServer(redis.url, undefined, { apiKeys: [admin.apiKey, reader.apiKey] });
  await eventually(async () => (await fetch(`${server.url()}/readyz`)).ok);
  [reading, writing] = await Promise.all([open([]), open(['--allow-writes'], {}, '2026-07-28')]);
});
afterEach(async () => {
  for (const one of more.splice(0)) await one.close();
});
afterAll(async () => {
  await reading?.close();
  await writing?.close();
  await server?.stop();
  await redis?.stop();
});

/** @param revision of the protocol; the one before 2026-07-28 when it is not given */
async function open(args: string[], env: Record<string, string> = {}, revision?: string): Promise<Client> {
  const options = revision === undefined ? {} : { versionNegotiation: { mode: { pin: revision } } };
  const client = new Client({ name: 'test', version: '1' }, options);
  const variables = {
    ...BARE_ENV,
    HOME: '/nonexistent',
    POPFLEET_URL: server.url(),
    POPFLEET_KEY: admin.text,
  };
  await client.connect(
    new StdioClientTransport({
      command: process.execPath,
      args: [CLI, 'mcp', ...args],
      env: { ...variables, ...env },
    }),
  );
  return client;
}

async function openForTest(args: string[], env: Record<string, string>): Promise<Client> {
  const client = await open(args, env);
  more.push(client);
  return client;
}

interface Said {
  readonly text: string;
  readonly isError: boolean;
  /** The text as JSON. */
  json(): Record<string, unknown>;
}

async function callTool(client: Client, name: string, args: Record<string, unknown> = {}): Promise<Said> {
  const { content, isError = false } = await client.callTool({ name, arguments: args });
  const [first] = content as [{ type: string; text: string }];
  expect(first.type).toBe('text');
  return { text: first.text, isError, json: () => JSON.parse(first.text) as Record<string, unknown> };
}

async function sent(options: object): Promise<string> {
  const { status, body } = await post(
    `${server.url()}/v1/tasks`,
    { type: 'add', input: INPUT, ...options },
    admin.bearer,
  );
  expect(status).toBe(202);
  return String(body['id']);
}

describe('what is offered', () => {
  test('tools are operations of the document, in its words; those that change something only where that is allowed', async () => {
    const operations = operationsOf(await documentOf(server.url()));
    const [{ tools: read }, { tools: all }] = [await reading.listTools(), await writing.listTools()];
    for (const { name, description, inputSchema, annotations } of all) {
      const operation = operations.find(({ operationId }) => operationId === name);
      expect(description).toContain(operation?.summary);
      expect(inputSchema).toMatchObject({ type: 'object', additionalProperties: false });
      expect(JSON.stringify(inputSchema)).not.toContain('$ref');
      expect(annotations?.readOnlyHint).toBe(
        operation?.method === 'GET' || /^check(?:Task|Schedule)$/.test(name),
      );
    }
    const names = all.map(({ name }) => name);
    const forTools = operations.filter(
      ({ path, operationId, tags: [tag = ''] }) =>
        path.startsWith('/v1/') &&
        (operationId === 'getSession' || !['webhooks', 'events', 'session'].includes(tag)),
    );
    expect(names.toSorted()).toEqual(forTools.map(({ operationId }) => operationId).toSorted());
    const batchWith = all.find(({ name }) => name === 'openBatch')?.inputSchema.properties?.['body'];
    const asSent = { properties: { type: { enum: expect.arrayContaining(['add']) }, priority: {} } };
    expect(batchWith).toMatchObject({
      properties: { tasks: { items: asSent }, then: { properties: { success: asSent, complete: asSent } } },
    });
    const section = readFileSync('docs/mcp.md', 'utf8').split('\n## ')[1] ?? '';
    const described = Array.from(section.matchAll(/`([a-z]+[A-Z]\w+)`/g), ([, name]) => name);
    expect(described.length).toBeGreaterThan(20);
    expect(described.filter((name) => name !== 'operationId' && !names.includes(String(name)))).toEqual([]);
    const readNames = names.filter((name) => read.some((one) => one.name === name));
    expect(readNames).toEqual(read.map(({ name }) => name));
    expect(names.filter((name) => ![...readNames, ...described].includes(name))).toEqual([]);
    expect(read.every(({ annotations }) => annotations?.readOnlyHint)).toBe(true);
    expect(readNames).toEqual(
      expect.arrayContaining([
        'listTasks',
        'explainTask',
        'listErrors',
        'listTypes',
        'listWorkers',
        'startOperation',
      ]),
    );
    expect(readNames).not.toContain('sendTask');
    const destructive = all.filter(({ annotations }) => annotations?.destructiveHint).map(({ name }) => name);
    expect(destructive.sort().join(' ')).toBe(
      'cancelOperation cancelTask cancelWorkflow deleteSchedule deleteTask putSchedule startOperation stopWorker',
    );
  });

  test('a fleet with many types has hardly larger tools', async () => {
    const tools = allToolsOf(await documentWithTypes(300), true);
    const sendTask = tools.find(({ listed }) => listed.name === 'sendTask');
    expect(JSON.stringify(sendTask?.listed).length).toBeLessThan(12_000);
    expect(JSON.stringify(sendTask?.listed.inputSchema)).toContain('type-299');
  });

  test('the documents are resources', async () => {
    const { resources } = await reading.listResources();
    expect(resources.map(({ name }) => name)).toEqual(docsPaths());
    const protocol = resources.find(({ name }) => name === 'docs/protocol.md');
    expect(protocol).toMatchObject({ title: 'Protocol', mimeType: 'text/markdown', description: /\w/ });
    const { contents } = await reading.readResource({ uri: String(protocol?.uri) });
    expect(contents).toMatchObject([{ text: readFileSync('docs/protocol.md', 'utf8') }]);
    await expect(reading.readResource({ uri: 'popfleet:///docs/../package.json' })).rejects.toThrow(
      /no resource/,
    );
  });
});

/** The document of the server as it would be with so many more types. */
async function documentWithTypes(count: number): Promise<ApiDocument> {
  const document = (await (await fetch(`${server.url()}/openapi.json`)).json()) as ApiDocument;
  const { schemas } = document.components as { schemas: Record<string, Record<string, unknown>> };
  const forms = Array.from({ length: count }, (_, at) => ({
    type: 'object',
    properties: { type: { const: `type-${at}` }, input: { type: 'object', description: 'x'.repeat(500) } },
  }));
  schemas['TaskCall'] = { oneOf: forms };
  return document;
}

describe('reads', () => {
  test('a task, why it waits, the queue that it stands in, and the types with the schemas of their inputs', async () => {
    const id = await sent({ delayMs: 3_600_000, tags: ['mcp'] });
    expect((await callTool(reading, 'getTask', { id })).json()).toMatchObject({
      id,
      state: 'scheduled',
      input: INPUT,
    });
    const why = (await callTool(reading, 'explainTask', { id })).json();
    expect(JSON.stringify(why)).toContain('reasons');
    const found = (await callTool(reading, 'listTasks', { tag: 'mcp', limit: 5 })).json();
    expect(found['items']).toMatchObject([{ id }]);
    expect((await callTool(reading, 'listQueues')).text).toContain('"queue":"default"');
    expect((await callTool(reading, 'getSession')).json()).toMatchObject({ key: admin.id });
    const checked = await callTool(reading, 'checkTask', { body: { type: 'add', input: INPUT } });
    expect(checked.json()).toMatchObject({ valid: true });
    expect((await callTool(reading, 'listTypes')).text).toContain('"required":["one","two"]');
  });

  test('an answer that is too long has its first items, and says how to get the others', async () => {
    await Promise.all(Array.from({ length: 120 }, () => sent({ queue: 'long', tags: ['x'.repeat(64)] })));
    const { text } = await callTool(reading, 'listTasks', { queue: 'long', limit: 200 });
    expect(text.length).toBeLessThan(RESULT_CHARS + 500);
    const [json = '', advice] = text.split('\n');
    const { items } = JSON.parse(json) as { items: unknown[] };
    expect(items.length).toBeGreaterThan(20);
    expect(advice).toContain(`${120 - items.length} of 120 items are left off`);
  });

  test('a call that waits gets the end', async () => {
    const id = await sent({ queue: 'waited', delayMs: 3_600_000 });
    const waited = callTool(reading, 'getTask', { id, wait: 20 });
    await callTool(writing, 'cancelTask', { id });
    expect((await waited).json()).toMatchObject({ state: 'cancelled' });
  });
});

describe('writes', () => {
  test('without --allow-writes each is refused, and changes nothing', async () => {
    const id = await sent({ delayMs: 3_600_000 });
    for (const [name, args] of [
      ['cancelTask', { id }],
      ['sendTask', { body: { type: 'add', input: INPUT, queue: 'never' } }],
      ['pauseQueue', { queue: 'default' }],
      ['startOperation', { body: { action: 'cancel', filter: { queue: 'default' }, confirm: 'x' } }],
      ['startOperation', { body: { action: 'cancel', filter: { queue: 'default' }, dryRun: 'true' } }],
    ] as const) {
      const { isError, text } = await callTool(reading, name, args);
      expect([name, isError]).toEqual([name, true]);
      expect(text).toContain('--allow-writes');
    }
    expect((await callTool(reading, 'getTask', { id })).json()).toMatchObject({ state: 'scheduled' });
    expect((await callTool(reading, 'listQueues')).text).not.toContain('never');
  });

  test('with it a task is sent, cancelled and removed', async () => {
    const body = { type: 'add', input: INPUT, queue: 'written', delayMs: 3_600_000 };
    const { id } = (await callTool(writing, 'sendTask', { body })).json();
    expect((await callTool(writing, 'getTask', { id })).json()).toMatchObject({
      state: 'scheduled',
      queue: 'written',
    });
    expect((await callTool(writing, 'cancelTask', { id })).json()).toMatchObject({ state: 'cancelled' });
    expect(await callTool(writing, 'deleteTask', { id })).toMatchObject({ text: 'Done.', isError: false });
    expect(await callTool(writing, 'getTask', { id })).toMatchObject({ isError: true, text: /not-found/ });
  });

  test('an operation: its dry run counts, also where writes are not allowed, and gives what starts it', async () => {
    await Promise.all([1, 2, 3].map(() => sent({ queue: 'many', delayMs: 3_600_000 })));
    const request = { action: 'cancel', filter: { queue: 'many' } };
    const seen = (await callTool(reading, 'startOperation', { body: { ...request, dryRun: true } })).json();
    expect(seen).toMatchObject({ matched: { value: 3 } });
    const unconfirmed = await callTool(writing, 'startOperation', { body: request });
    expect(unconfirmed).toMatchObject({ isError: true, text: /confirm-needed/ });
    const started = await callTool(writing, 'startOperation', {
      body: { ...request, confirm: seen['confirm'] },
    });
    const { id } = started.json();
    await eventually(async () => {
      const { state, done } = (await callTool(writing, 'getOperation', { operation: id })).json();
      return state === 'done' && done === 3;
    });
  });

  test('a schedule, whose body has a member that the query has too', async () => {
    const body = { type: 'add', input: INPUT, everyMs: 3_600_000, queue: 'by-the-clock' };
    expect((await callTool(writing, 'putSchedule', { name: 'hourly', body })).json()).toMatchObject({
      name: 'hourly',
    });
    expect((await callTool(writing, 'pauseSchedule', { name: 'hourly' })).json()).toMatchObject({
      paused: true,
    });
    expect(await callTool(writing, 'deleteSchedule', { name: 'hourly' })).toMatchObject({ isError: false });
  });
});

describe('what goes wrong is an error of the tool, which says what to do', () => {
  test.each([
    [
      'an argument that is not known',
      'listQueues',
      { colour: 'red' },
      /knows no argument "colour".\nIt takes skip\./,
    ],
    ['one that is missing', 'getTask', {}, /needs the argument "id".\nIt takes id, wait/],
    ['one of another form', 'listTasks', { tag: ['a'] }, /"tag" must be a text/],
    ['a part of an item to skip', 'listQueues', { skip: -0.5 }, /"skip" must be a whole number/],
    ['a value that the server refuses', 'listTasks', { limit: 'all' }, /limit.*\(invalid-query\)/],
    ['a path in an id', 'getTask', { id: '../queues' }, /\((?:not-found|bad-host)\)/],
    ['a tool that there is not', 'dropTables', {}, /no tool "dropTables"/],
  ])('%s', async (_, name, args, text) => {
    expect(await callTool(reading, name, args)).toMatchObject({ isError: true, text });
  });

  test('input that the schema of its type refuses, with the place of each fault', async () => {
    const body = { type: 'add', input: { one: 'x' } };
    const { isError, text } = await callTool(writing, 'sendTask', { body });
    expect(isError).toBe(true);
    expect(text).toMatch(/invalid-input/);
    expect(text).toContain('#/body/input/one');
    expect(text).toContain('#/body/input/two');
  });

  test('a key without the scope, and none at all', async () => {
    const limited = await openForTest(['--allow-writes'], { POPFLEET_KEY: reader.text });
    expect(await callTool(limited, 'listQueues')).toMatchObject({ isError: false });
    const refused = await callTool(limited, 'pauseQueue', { queue: 'default' });
    expect(refused).toMatchObject({ isError: true, text: /scope "admin"[\s\S]*popfleet key --scopes/ });
    const without = await openForTest([], { POPFLEET_KEY: '' });
    expect(await callTool(without, 'listQueues')).toMatchObject({ isError: true, text: /POPFLEET_KEY/ });
  });

  test('a server whose Redis is away, and one that is away itself', async () => {
    const lonely = await startServer('redis://127.0.0.1:1');
    const client = await openForTest([], { POPFLEET_URL: lonely.url() });
    expect((await client.listTools()).tools.length).toBeGreaterThan(10);
    expect(await callTool(client, 'listQueues')).toMatchObject({ isError: true, text: /redis-unavailable/ });
    await lonely.stop();
    expect(await callTool(client, 'listQueues')).toMatchObject({
      isError: true,
      text: /unreachable[\s\S]*POPFLEET_URL/,
    });
    await expect(client.listTools()).rejects.toThrow(/cannot be reached[\s\S]*popfleet all/);
  });
});
