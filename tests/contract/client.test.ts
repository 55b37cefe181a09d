// A client that openapi-typescript makes of the document: its types compile under `strict`, and what they say is true.

import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as v from 'valibot';
import { createServerRole, type Server } from '../../src/server/server.ts';
import { defineTask, type TaskDefinition } from '../../src/tasks/define.ts';
import { toRegistry } from '../../src/tasks/registry.ts';
import { eventually } from '../support/eventually.ts';
import { type OpenApiDocument, documentOf } from '../support/openapi.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { SERVER_SETTINGS, silent, startServer, testRegistry } from '../support/server.ts';

const REPO = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);
/** npm and TypeScript would leave a cache in the temporary folder, on Node 22 and later. */
const env = { ...process.env, NODE_DISABLE_COMPILE_CACHE: '1' };

let redis: TestRedis;
let server: Server;
let folder: string;

beforeAll(async () => {
  redis = await startRedis();
  server = await startServer(redis.url);
  await eventually(async () => (await fetch(`${server.url()}/readyz`)).ok);
  folder = mkdtempSync(join(tmpdir(), 'popfleet-client-'));
});
afterAll(async () => {
  await server?.stop();
  await redis?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Folder of a package that the package `client-generator` brings. */
function packageOf(name: string): string {
  const require = createRequire(join(REPO, 'tests', 'client-generator', 'package.json'));
  const found = (require.resolve.paths(name) ?? [])
    .map((path) => join(path, name))
    .find((path) => existsSync(join(path, 'package.json')));
  if (found === undefined) throw new Error(`${name} is not installed: npm ci`);
  return found;
}

/** What a program does with the client; the answers of a server that runs it stand in the last line. */
const PROGRAM = `import createClient from 'openapi-fetch';
import type { components, paths } from './api';

type Schemas = components['schemas'];
const client = createClient<paths>({ baseUrl: process.argv[2] ?? '' });

export async function main(): Promise<string[]> {
  const sent = await client.POST('/v1/tasks', {
    params: { query: { wait: 0 } },
    body: { type: 'add', input: { one: 1, two: 2 }, priority: 'high', backoff: { type: 'fixed' } },
  });
  if (sent.error) throw new Error(sent.error.code + sent.error.detail + (sent.error.errors?.[0]?.pointer ?? ''));
  const id: string = sent.data.id;
  const self: string = sent.data.links.self;
  const short = await client.POST('/{type}', { params: { path: { type: 'add' } }, body: { one: 1, two: 2 } });
  const shortId: string | undefined = short.data?.id;

  const { data: task } = await client.GET('/v1/tasks/{id}', { params: { path: { id }, query: { wait: 1 } } });
  const view: Schemas['Task'] | undefined = task;
  const attempts: number = view?.options?.maxAttempts ?? view?.attempt ?? 0;
  const message: string | undefined = view?.error?.message ?? view?.errors[0]?.error.cause?.cause?.message;
  const state: Schemas['TaskState'] = view?.state ?? 'ready';

  const page = await client.GET('/v1/tasks', { params: { query: { limit: 5, state: 'ready' } } });
  const rows: readonly Schemas['TaskSummary'][] = page.data?.items ?? [];
  const queues = await client.GET('/v1/queues');
  const queue: Schemas['Queue'] | undefined = queues.data?.items[0];
  const workers = await client.GET('/v1/workers');
  const worker: Schemas['Worker'] | undefined = workers.data?.items[0];

  const options: Schemas['TaskOptions'] = { maxAttempts: 3, delayMs: 5, runAt: undefined, key: 'once' };
  const request: Schemas['TaskRequest'] = { type: 'greet', input: { name: 'Ada' }, ...options };
  const batch = await client.POST('/v1/tasks/batch', { params: { query: { partial: true } }, body: [request] });
  const accepted: number | undefined = batch.data?.accepted;
  const first: string | undefined = batch.data?.items[0]?.id ?? batch.data?.items[0]?.problem?.detail;

  const checked = await client.POST('/v1/tasks/check', { body: request });
  const valid: true | undefined = checked.data?.valid;

  const put = await client.PUT('/v1/schedules/{name}', {
    params: { path: { name: 'hourly' } },
    body: { everyMs: 3_600_000, type: 'add', input: { one: 1, two: 2 } },
  });
  const schedule: Schemas['Schedule'] | undefined = put.data;
  const next: string | undefined = schedule?.next[0];

  const problem: Schemas['Problem'] | undefined = (await client.GET('/v1/tasks/{id}', { params: { path: { id: 'x' } } })).error;

  // @ts-expect-error a type that does not exist
  const unknownType: Schemas['TaskRequest'] = { type: 'nope', input: {} };
  // @ts-expect-error an input of another type
  const wrongInput: Schemas['TaskRequest'] = { type: 'add', input: { name: 'Ada' } };
  // @ts-expect-error an option that does not exist
  const wrongOption: Schemas['TaskRequest'] = { type: 'add', input: { one: 1, two: 2 }, retries: 3 };

  void [self, attempts, message, state, queue?.counts, worker?.types, unknownType, wrongInput, wrongOption];
  return [id, shortId, rows.length, accepted, first, valid, next, problem?.code].map(String);
}
void main().then((answers) => console.log(JSON.stringify(answers)));
`;

async function generate(document: OpenApiDocument): Promise<void> {
  writeFileSync(join(folder, 'openapi.json'), JSON.stringify(document));
  const generator = join(packageOf('openapi-typescript'), 'bin', 'cli.js');
  await run(process.execPath, [generator, 'openapi.json', '-o', 'api.d.ts'], { cwd: folder, env });
  mkdirSync(join(folder, 'node_modules', '@types'), { recursive: true });
  for (const [name, from] of [
    ['openapi-fetch', packageOf('openapi-fetch')],
    [join('@types', 'node'), join(REPO, 'node_modules', '@types', 'node')],
  ] as const) {
    symlinkSync(from, join(folder, 'node_modules', name));
  }
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  writeFileSync(join(folder, 'program.ts'), PROGRAM);
  const options = { strict: true, noUncheckedIndexedAccess: true, module: 'preserve', target: 'es2022' };
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: { ...options, types: ['node'], skipLibCheck: true },
      files: ['program.ts', 'api.d.ts'],
    }),
  );
}

async function compile(compiler: string): Promise<string> {
  const tsc = join(compiler, 'bin', 'tsc');
  return run(process.execPath, [tsc, '-p', folder], { cwd: folder, env }).then(
    () => '',
    (error: { readonly stdout: string }) => error.stdout,
  );
}

describe('case 30: generated clients', () => {
  it('openapi-typescript makes types that compile under strict, by TypeScript 5 and 7, and the program works', {
    timeout: 180_000,
  }, async () => {
    await generate(await documentOf(server.url()));
    expect(await compile(packageOf('typescript'))).toBe('');
    expect(await compile(join(REPO, 'node_modules', 'typescript'))).toBe('');
    const { stdout } = await run(process.execPath, [join(folder, 'program.js'), server.url()], {
      cwd: folder,
    });
    const [id, shortId, rows, accepted, first, valid, next, code] = JSON.parse(stdout) as string[];
    expect([rows, accepted, valid, code]).toEqual(['2', '1', 'true', 'not-found']);
    for (const one of [id, shortId, first]) expect(one).toMatch(/^[0-9a-f-]{36}$/);
    expect(next).toMatch(/^\d{4}-/);
  });

  it('what callers meet has a name, and no name is made of a place in the document', async () => {
    const { components } = await documentOf(server.url());
    expect(Object.keys(components.schemas)).toEqual(
      expect.arrayContaining(
        `Task TaskSummary TaskPage TaskReceipt TaskRequest TaskOptions TaskError BatchReport Queue Worker TaskType Schedule
        ScheduleRequest Problem`.split(/\s+/),
      ),
    );
    const text = JSON.stringify(components);
    expect(text).not.toContain('x-component');
    // Generators name a choice without a name by its place, such as `CallOneOfOneseven`.
    for (const [name, schema] of Object.entries(components.schemas)) {
      for (const choice of (schema['oneOf'] ?? []) as object[]) expect(choice, name).toHaveProperty('$ref');
    }
  });

  it('a field of a request that has a default is optional, and is there in the answer', async () => {
    const { components, paths } = await documentOf(server.url());
    const { ScheduleOptions, BackoffOptions, Backoff } = components.schemas;
    for (const schema of [ScheduleOptions, BackoffOptions]) {
      expect(schema?.['required'] ?? []).toEqual([]);
      expect(JSON.stringify(schema)).not.toContain('"default":');
    }
    expect(Backoff?.['required']).toContain('jitter');
    const query = paths['/v1/tasks']?.['get']?.parameters.find(({ name }) => name === 'limit');
    expect(query?.schema).toEqual({ type: 'integer', minimum: 1, maximum: 200 });
  });

  it('a type adds little to the document, also with 103 of them, and its references lead somewhere', async () => {
    const few = await sizeWith(0);
    const many = await sizeWith(100);
    expect((many - few) / 100).toBeLessThan(700);
    // Half of the 455 KB of case 30, whatever the API has gained since.
    expect(many).toBeLessThan(227_500);
  });
});

/** Of a recursive type the schema refers to itself; `a.b` and `a-b` would have one name. */
const TREE: v.GenericSchema = v.object({ name: v.string(), children: v.lazy(() => v.array(TREE)) });

async function sizeWith(more: number): Promise<number> {
  const types = Array.from({ length: more }, (_, index) => `type-${index}`);
  const pair = v.strictObject({ one: v.pipe(v.number(), v.integer()), two: v.string() });
  const own = ['tree.view', 'tree-view', ...types].map(
    (type): TaskDefinition =>
      defineTask({ type, input: type.startsWith('tree') ? TREE : pair, run: () => 1 }),
  );
  const registry = toRegistry(
    [...(await testRegistry()).values(), ...own].map((definition) => ({ definition, source: 'the test' })),
  );
  const { log } = silent(redis.url);
  const parts = { connection: silent(redis.url), registry, log };
  const one = createServerRole({ ...SERVER_SETTINGS, bodyLimitBytes: 1_024 }, parts);
  await one.start();
  try {
    const text = await (await fetch(`${one.url()}/openapi.json`)).text();
    const { components } = JSON.parse(text) as OpenApiDocument;
    for (const [, name = ''] of text.matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
      expect(components.schemas).toHaveProperty([name]);
    }
    expect(text).not.toMatch(/"#\/\$defs|"\$ref":"#"/);
    expect(components.schemas).toHaveProperty('TreeView2Input');
    return text.length;
  } finally {
    await one.stop();
  }
}
