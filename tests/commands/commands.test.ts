// The commands against a server: exit codes, what is written where, and what is asked for.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import { createKey } from '../../src/server/auth/api-keys.ts';
import type { Server } from '../../src/server/server.ts';
import {
  type Ended,
  type InProcess,
  installCommand,
  runCommand,
  startInPipe,
} from '../support/command-line.ts';
import { eventually } from '../support/eventually.ts';
import { send } from '../support/life.ts';
import { freePort } from '../support/redis.ts';
import { startServer } from '../support/server.ts';
import { withServer } from '../support/with-server.ts';

const server = withServer();
const sum = { one: 1, two: 2 };
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'popfleet-commands-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A line as a shell would split it, at blanks. */
function popfleet(line: string, options: InProcess = {}): Promise<Ended> {
  const env = { POPFLEET_URL: server.url(), ...options.env };
  return runCommand(line.split(' '), { ...options, env });
}

describe('exit codes', () => {
  test.each([
    ['task list --stat dead', /unknown option '--stat'\n\(Did you mean --state\?\)/],
    ['taks list', /unknown command 'taks'\n\(Did you mean task\?\)/],
    ['task', /Usage: popfleet task/],
    ['task lst', /unknown command 'lst'\n\(Did you mean list\?\)\nSee: popfleet task --help\n/],
    ['key --scope read', /unknown option '--scope'\n\(Did you mean --scopes\?\)\nSee: popfleet key --help\n/],
    ['task get', /missing required argument 'id'/],
    ['task add add one', /"one" must be name=value/],
    ['task add add one=1 one=2', /"one" was given twice/],
    ['task add add one=9007199254740993 two=1', /beyond ±\(2\^53 − 1\): send it as text/],
    ['task add add one=1e400 two=1', /one=1e400: # is Infinity/],
    ['task add add --input {"one":[1e400]}', /--input: #\/one\/0 is Infinity/],
    ['task add add --delay soon', /It must be a duration/],
    ['task add add --delay 1s --at 2030-01-01T00:00:00Z', /either --delay or --at/],
    ['task add add --input {one', /--input must be JSON/],
    ['queue list --url localhost', /It must be an http or https address/],
    ['queue list --key-file /nonexistent', /\/nonexistent cannot be read \(ENOENT\)/],
    ['completion tcsh', /Allowed choices are bash, zsh, fish/],
  ])('2: %s', async (line, message) => {
    const { code, stdout, stderr } = await popfleet(line);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(message);
  });

  test.each([
    ['task get --json', "missing required argument 'id'"],
    ['--json task list --stat dead', "unknown option '--stat'\n(Did you mean --state?)"],
    ['--json taks list', "unknown command 'taks'\n(Did you mean task?)"],
    ['task add add --delay soon --json', expect.stringContaining('It must be a duration')],
    ['task --json', 'A command is missing: see --help'],
    ['key --json', "unknown option '--json'"],
  ])('2, for programs: %s', async (line, message) => {
    const { code, stdout, stderr } = await popfleet(line);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(JSON.parse(stderr)).toEqual({ error: { code: 'usage', message } });
  });

  test('3: nobody listens', async () => {
    const env = { POPFLEET_URL: `http://127.0.0.1:${await freePort()}` };
    const { code, stderr } = await popfleet('queue list', { env });
    expect(code).toBe(3);
    expect(stderr).toMatch(/cannot be reached: .*\nIs a server running\?/);
    expect(stderr).not.toContain('    at ');
  });

  test('4: without a key, with one that may not, and with one that may', async () => {
    const reader = createKey(['read'], undefined);
    const guarded: Server = await startServer(server.redis().url, 65_536, {
      apiKeys: readConfig({ API_KEYS: reader.entry }, 1).apiKeys,
    });
    try {
      const env = { POPFLEET_URL: guarded.url() };
      const none = await popfleet('queue list', { env });
      expect(none.code).toBe(4);
      expect(none.stderr).toContain('POPFLEET_KEY');
      const lesser = await popfleet('queue pause default', { env: { ...env, POPFLEET_KEY: reader.key } });
      expect([lesser.code, lesser.stderr]).toEqual([4, expect.stringContaining('another scope or queue')]);
      const file = join(folder, 'key');
      writeFileSync(file, `${reader.key}\n`);
      expect((await popfleet(`queue list --key-file ${file}`, { env })).code).toBe(0);
      const { code, stdout } = await popfleet('doctor', { env });
      expect(code).toBe(1);
      expect(stdout).toMatch(/^bad\tkey\tthe server asks for a key\t/m);
    } finally {
      await guarded.stop();
    }
  });

  test('5: what is not there', async () => {
    for (const line of [
      'task get 01920000-0000-7000-8000-000000000000',
      'queue show nothing',
      'schedule show nothing',
      'type show nothing',
    ]) {
      expect(await popfleet(line)).toMatchObject({ code: 5, stdout: '' });
    }
    for (const noun of ['queue', 'schedule', 'op', 'dead', 'webhook']) {
      const { stderr } = await popfleet(`${noun} show nothing`);
      expect(stderr).toContain(`popfleet ${noun} list lists them`);
    }
    expect((await popfleet('worker quiet nothing')).stderr).toContain('popfleet worker list lists them');
  });

  test('6: what is not valid is named, for programs as JSON', async () => {
    const { code, stderr } = await popfleet('task add add one=x two=2');
    expect(code).toBe(6);
    expect(stderr).toMatch(/^error: The input is not valid\n {2}#\/input\/one [^\n]+\nrequest: /);
    const inJson = await popfleet('--json task add add one=x two=2');
    expect(JSON.parse(inJson.stderr)).toMatchObject({ error: { code: 'invalid-input', status: 422 } });
  });

  test('6: what was not even sent, because it cannot be', async () => {
    const { code, stderr } = await popfleet('task get ');
    expect(code).toBe(6);
    expect(stderr).not.toContain('Is a server running');
  });

  test('a task that asks for a durability is told of what was reached', async () => {
    const { code, stderr } = await popfleet('task add add one=1 two=2 --queue nobody --durability memory');
    expect([code, stderr]).toEqual([0, expect.stringContaining('durability reached: memory')]);
    const wrong = await popfleet('task add add one=1 two=2 --durability tape');
    expect([wrong.code, wrong.stderr]).toEqual([6, expect.stringContaining('memory, disk, replicas')]);
  });

  test('7: over a limit', async () => {
    const busy = createServer((_request, response) => {
      response.writeHead(429, { 'content-type': 'application/problem+json' });
      response.end('{"code":"quota-exceeded","detail":"Too many."}');
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => busy.once('listening', resolve));
    const { port } = busy.address() as { readonly port: number };
    const { code } = await popfleet('queue list', { env: { POPFLEET_URL: `http://127.0.0.1:${port}` } });
    busy.close();
    busy.closeAllConnections();
    expect(code).toBe(7);
  });

  test('124: the time to wait is over', async () => {
    const { code, stderr } = await popfleet('task add add one=1 two=2 --queue nobody --wait=50ms --json');
    expect(code).toBe(124);
    expect(stderr).toMatch(/^\{"error":\{"code":"timed-out","message":"[^"]*it goes on/m);
  });

  test('130: interrupted', async () => {
    const interrupt = new AbortController();
    const running = popfleet('task add add one=1 two=2 --queue nobody --wait', {
      interrupt: interrupt.signal,
    });
    interrupt.abort();
    expect(await running).toMatchObject({ code: 130, stderr: expect.stringContaining('Interrupted') });
  });

  test('1: the task failed; 0: it succeeded, and its result is all that stdout has', async () => {
    const worker = server.worker();
    const failing = popfleet('task add add one=1 two=2 --queue ends --wait');
    const dead = await takeWhenThere('ends');
    await worker.end(dead, 'dead', { name: 'RangeError', message: 'too \u001b[2J far\nnew line' });
    const failed = await failing;
    expect(failed).toMatchObject({ code: 1, stdout: '' });
    expect(failed.stderr).toContain('RangeError: too  [2J far');
    expect(failed.stderr).not.toContain('\u001b');

    const succeeding = popfleet('task add add one=1 two=2 --queue ends --wait');
    const id = await takeWhenThere('ends');
    await worker.report(id, 40, 'page 2');
    await worker.end(id, 'succeeded', { total: 3 });
    expect(await succeeding).toMatchObject({ code: 0, stdout: '{"total":3}\n' });
    expect(await popfleet(`task wait ${id} ${dead}`)).toMatchObject({ code: 1, stdout: '{"total":3}\n' });
  });
});

/** Once it was sent. */
function takeWhenThere(queue: string): Promise<string> {
  return eventually(() => server.worker().take(queue));
}

test('a list in a pipe is a record a line, and at a terminal a table', async () => {
  await send(server.url(), 'add', sum, { queue: 'listed' });
  const { stdout } = await popfleet('task list --queue listed');
  expect(stdout.trimEnd().split('\n')).toHaveLength(1);
  expect(stdout.split('\t').slice(1, 4)).toEqual(['ready', 'add', 'listed']);
  const table = await popfleet('task list --queue listed', { isTerminal: true });
  expect(table.stdout).toContain(`\u001b[1mID${' '.repeat(34)}`);
  const plain = await popfleet('--no-color task list --queue listed', { isTerminal: true });
  expect(plain.stdout).toMatch(/^ID {34}/);
});

test('status says what is wrong and what to do', async () => {
  await server.empty();
  expect(await popfleet('status')).toMatchObject({ code: 0, stderr: expect.stringContaining('All is well') });
  await send(server.url(), 'add', sum, { queue: 'lonely' });
  const { stdout } = await popfleet('status --json');
  expect(JSON.parse(stdout)).toMatchObject({
    health: 'bad',
    sentence: expect.stringContaining('lonely: 1 ready, and no worker serves it'),
    findings: [{ fix: 'popfleet worker --queues lonely' }],
  });
  await server.redis().client.hincrby('pf:{lonely}:count', 'accepted', 1);
  expect(await popfleet('status')).toMatchObject({ code: 1, stderr: expect.stringContaining('differ by 1') });
});

test('doctor looks at Redis as well, and says how to mend it', async () => {
  await server.empty();
  const { client, url } = server.redis();
  const sound = await popfleet(`doctor --redis-url ${url}`);
  expect(sound.stdout).toMatch(/^ok\tredis\t(?:Redis|Valkey) \d/m);
  expect(sound.stdout).toMatch(/^ok\tserver\t/m);
  await client.config('SET', 'maxmemory-policy', 'allkeys-lru');
  const sick = await popfleet(`doctor --redis-url ${url} --json`);
  await client.config('SET', 'maxmemory-policy', 'noeviction');
  expect(sick.code).toBe(1);
  expect(JSON.parse(sick.stdout)).toMatchObject({
    checks: expect.arrayContaining([
      {
        name: 'redis',
        level: 'bad',
        text: 'it may evict tasks (maxmemory-policy allkeys-lru)',
        fix: 'CONFIG SET maxmemory-policy noeviction',
      },
    ]),
  });
  const away = await popfleet(`doctor --redis-url redis://127.0.0.1:${await freePort()}`);
  expect(away.stdout).toMatch(/^bad\tredis\tRedis cannot be used: unreachable\t/);
});

test('config says where a setting was found, and hides the secret of a key', async () => {
  const file = join(folder, 'popfleet', 'config.json');
  const env = { XDG_CONFIG_HOME: folder, POPFLEET_URL: '' };
  execFileSync('mkdir', ['-p', join(folder, 'popfleet')]);
  writeFileSync(file, JSON.stringify({ url: 'http://example.org', key: 'pf_abc_secret' }));
  const { stdout } = await popfleet('config', { env });
  expect(stdout).toBe(`url\thttp://example.org\t${file}\nkey\tpf_abc_…\t${file}\n`);
  writeFileSync(file, JSON.stringify({ token: 'x' }));
  expect(await popfleet('config', { env })).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('nothing but "url", "key" and "keyFile"'),
  });
});

test('a shell completes nouns, verbs and options', async () => {
  const { stdout: script } = await popfleet('completion bash');
  const complete = (...words: string[]): string[] =>
    execFileSync(
      'bash',
      [
        '-c',
        `${script}\nCOMP_WORDS=(${words.join(' ')} ''); COMP_CWORD=${words.length}; _popfleet; echo "\${COMPREPLY[@]}"`,
      ],
      { encoding: 'utf8' },
    )
      .trim()
      .split(' ');
  expect(complete('popfleet')).toEqual(expect.arrayContaining(['task', 'status', 'worker', 'load']));
  expect(complete('popfleet', 'task')).toEqual(expect.arrayContaining(['add', 'import']));
  expect(complete('popfleet', '--json', 'task', 'add')).toEqual(expect.arrayContaining(['--wait', '--json']));
  expect(complete('popfleet', 'worker')).toEqual(expect.arrayContaining(['list', '--queues']));
});

test('options may stand anywhere, also behind a noun that is a role as well', async () => {
  const url = server.url();
  for (const line of [
    '--json worker list',
    'worker --json list',
    `worker --url ${url} --json list`,
    `worker --json --url=${url} list`,
    'worker list --json',
  ]) {
    const { code, stdout } = await popfleet(line, { env: { POPFLEET_URL: line.includes(url) ? '' : url } });
    expect(code, line).toBe(0);
    expect(JSON.parse(stdout), line).toHaveProperty('items');
  }
  // The role has no such option, and `list` may be the name of a queue.
  expect((await popfleet('worker --json --queues list')).stderr).toContain("unknown option '--json'");
});

test('bench is another word for load', async () => {
  const own = mkdtempSync(join(folder, 'bench-'));
  const { ended } = startInPipe('popfleet bench --tasks 0', own, installCommand(own));
  expect(await ended).toMatchObject({ code: 2, stderr: expect.stringMatching(/--tasks .*whole number/) });
});

test('help leads with examples, which the document has too', async () => {
  const { code, stdout } = await popfleet('task add --help');
  expect(code).toBe(0);
  expect(stdout).toMatch(/^Examples:\n {2}popfleet task add /);
  expect(stdout).toMatch(/More: docs\/command-line\.md\n$/);
  expect((await popfleet('worker --help')).stdout).toMatch(/--concurrency[\s\S]*list/);
});
