// A developer's first hour: the package in an empty folder, `npx popfleet init`, `npx popfleet dev`, an own task in TypeScript, changes while
// tasks run. scripts/test-image-node.mjs runs this on the Node of the image too.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, onTestFailed, onTestFinished, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { call, post } from '../support/http.ts';
import { installPacked, NPM_ENV } from '../support/packed.ts';

/** npm, and each of many starts, may take a while on a busy machine. Milliseconds. */
const LONG_MS = 300_000;

/** Where the package is installed: the folder of a developer. */
let home: string;
/** Of the installed command. */
let cli: string;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'popfleet-home-'));
  await installPacked(home);
  cli = join(home, 'node_modules', 'popfleet', 'dist', 'cli.js');
}, LONG_MS);
afterAll(() => rm(home, { recursive: true, force: true }));

/** Another folder in which the package is installed. */
async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'popfleet-dev-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await symlink(join(home, 'node_modules'), join(folder, 'node_modules'));
  return folder;
}

interface Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(cwd: string, file: string, ...args: readonly string[]): Promise<Run> {
  return promisify(execFile)(file, args, { cwd, env: NPM_ENV }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: unknown) => error as Run,
  );
}

const popfleet = (cwd: string, ...args: readonly string[]): Promise<Run> =>
  run(cwd, process.execPath, cli, ...args);

interface Dev {
  readonly child: ChildProcess;
  /** Its output has ended, and that of all that it has started. */
  readonly closed: Promise<unknown>;
  said(): string;
  url(): string;
}

/** @param command what a developer types, in a group of processes of its own as at a terminal */
function dev(cwd: string, ...[file = '', ...args]: readonly string[]): Dev {
  const settings = { PORT: '0', CONCURRENCY: '2', HEARTBEAT_MS: '250', LEASE_MS: '1500' };
  const env = { ...NPM_ENV, ...settings };
  const child = spawn(file, args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (text: Buffer) => {
      said += text.toString();
    });
  }
  const closed = once(child, 'close');
  onTestFailed(() => void process.stderr.write(said));
  onTestFinished(async () => {
    signalGroup(child, 'SIGKILL');
    await closed;
  });
  return { child, closed, said: () => said, url: () => /popfleet dev is up: (\S+)/.exec(said)?.[1] ?? '' };
}

/** As a terminal does. */
function signalGroup({ pid = 0 }: ChildProcess, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // All of it has ended.
  }
}

const RUN_TIME = `import { setTimeout as sleep } from 'node:timers/promises';
import { defineTask, v } from 'popfleet';
import { greeting } from './greeting';

export const hello = defineTask({
  type: 'hello',
  input: v.object({ name: v.string(), ms: v.optional(v.number(), 0) }),
  async run({ name, ms }) {
    await sleep(ms);
    return greeting(name);
  },
});
`;
const greeting = (word: string): string =>
  `export function greeting(name: string): string {\n  return \`${word} \${name}\`;\n}\n`;

test(
  'init and dev: a task in TypeScript runs, changes are loaded while tasks run, and faults wait for their mending',
  async () => {
    const folder = home;
    const made = await run(folder, 'npx', 'popfleet', 'init');
    expect(made.stdout).toContain('npm run dev');
    expect(made.stdout).not.toContain('npm install');
    expect(JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))).toMatchObject({
      dependencies: { popfleet: expect.stringContaining('.tgz') },
      scripts: { dev: 'popfleet dev' },
    });

    const developer = dev(folder, 'npx', 'popfleet', 'dev');
    await eventually(() => developer.url() !== '', 60_000);
    const url = developer.url();
    const greet = async (input: object): Promise<unknown> => {
      const { body } = await post(`${url}/v1/tasks?wait=30`, { type: 'hello', input });
      return body['result'];
    };
    expect(await greet({ name: 'you' })).toBe('Hello you!');

    // The web application that is to hear of ends runs beside it.
    const receiver = createServer((_request, response) => response.end()).listen(0, 'localhost');
    onTestFinished(() => void receiver.close());
    await once(receiver, 'listening');
    const told = once(receiver, 'request');
    const hook = `http://localhost:${(receiver.address() as AddressInfo).port}/hook`;
    const followed = { type: 'hello', input: { name: 'you' }, webhook: { url: hook } };
    expect((await post(`${url}/v1/tasks`, followed)).status).toBe(202);
    await told;

    // A task of the modules before runs on while those after are loaded.
    await writeFile(join(folder, 'greeting.ts'), greeting('Good day,'));
    await writeFile(join(folder, 'tasks.ts'), RUN_TIME);
    await eventually(async () => (await greet({ name: 'you' })) === 'Good day, you', 60_000);
    const { body } = await post(`${url}/v1/tasks`, { type: 'hello', input: { name: 'me', ms: 3_000 } });
    const look = async (): Promise<Record<string, unknown>> =>
      (await call(`${url}/v1/tasks/${String(body['id'])}`)).body;
    await eventually(async () => (await look())['state'] === 'running');
    await writeFile(join(folder, 'greeting.ts'), greeting('Good night,'));
    await eventually(async () => (await greet({ name: 'you' })) === 'Good night, you', 60_000);
    const finished = await eventually(async () => {
      const task = await look();
      return task['state'] === 'succeeded' && task;
    });
    expect(finished).toMatchObject({ result: 'Good day, me', attempt: 1 });

    // A fault is said with its place, and what runs goes on.
    await writeFile(join(folder, 'greeting.ts'), 'export const greeting = ;');
    await eventually(
      () => developer.said().includes('the modules before go on until this is mended'),
      60_000,
    );
    expect(developer.said()).toMatch(/greeting\.ts:1:2\d/);
    expect(await greet({ name: 'you' })).toBe('Good night, you');
    await writeFile(join(folder, 'greeting.ts'), greeting('Good morning,'));
    await eventually(async () => (await greet({ name: 'you' })) === 'Good morning, you', 60_000);
    // A person reads it: no line is JSON.
    expect(
      developer
        .said()
        .split('\n')
        .filter((line) => line.startsWith('{')),
    ).toEqual([]);

    signalGroup(developer.child, 'SIGINT');
    await developer.closed;
    await expect(fetch(`${url}/healthz`)).rejects.toThrow();
  },
  LONG_MS,
);

test('init leaves what is there as it is, and says what to do; dev without a module says where it looked', async () => {
  const folder = await makeFolder();
  const none = await popfleet(folder, 'dev');
  expect(none.code).toBe(78);
  expect(none.stderr).toMatch(
    /^there is no task module here: name one with --tasks, or make one with popfleet init/,
  );
  const own = { name: 'shop', type: 'commonjs', scripts: { dev: 'vite', test: 'vitest' } };
  const text = JSON.stringify({ ...own, dependencies: { popfleet: '1' } });
  await writeFile(join(folder, 'package.json'), text);
  const { stdout } = await popfleet(folder, 'init');
  expect(stdout).toMatch(/^Made tasks\.ts\. Next:\n\n {2}npx popfleet dev\n {2}curl /);
  expect(await readFile(join(folder, 'package.json'), 'utf8')).toBe(text);
  const again = await popfleet(folder, 'init');
  expect([again.code, again.stderr]).toEqual([1, 'there is a tasks.ts here already: popfleet dev runs it\n']);
  await rm(join(folder, 'tasks.ts'));
  await writeFile(join(folder, 'package.json'), '{');
  expect((await popfleet(folder, 'init')).stderr).toMatch(/^package\.json cannot be read: /);
  expect(await readdir(folder)).toEqual(['node_modules', 'package.json']);
});

test(
  'dev ends when its port is taken, and in order when it is asked to; when it is killed, what it has started ends',
  async () => {
    const folder = await makeFolder();
    await popfleet(folder, 'init');
    expect(JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))).toMatchObject({
      type: 'module',
      scripts: { dev: 'popfleet dev' },
    });
    const asked = dev(folder, process.execPath, cli, 'dev');
    await eventually(() => asked.url() !== '', 60_000);
    const { port } = new URL(asked.url());
    const other = await makeFolder();
    await popfleet(other, 'init');
    const refused = await popfleet(other, 'dev', '--port', port);
    expect([refused.code, refused.stderr]).toEqual([
      1,
      expect.stringContaining(`another program listens on port ${port} of 127.0.0.1: stop it, or set PORT`),
    ]);
    asked.child.kill('SIGTERM');
    expect(await once(asked.child, 'exit')).toEqual([0, null]);
    const developer = dev(folder, process.execPath, cli, 'dev', '--port', port);
    await eventually(() => developer.url() !== '', 60_000);
    developer.child.kill('SIGKILL');
    await eventually(
      () =>
        fetch(`${developer.url()}/healthz`).then(
          () => false,
          () => true,
        ),
      60_000,
    );
    // The worker too.
    await developer.closed;
  },
  LONG_MS,
);
