// Keys as an operator uses them: made on the command line, given to a server, and found nowhere afterwards.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { readApiKeys } from '../../src/server/auth/api-keys.ts';
import { eventually } from '../support/eventually.ts';
import { spawnRole } from '../support/fleet.ts';
import { call, post } from '../support/http.ts';
import { openStage } from '../support/stage.ts';

const CLI = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));

interface Made {
  readonly status: number | null;
  readonly key: string;
  readonly entry: string;
  readonly stdout: string;
  readonly stderr: string;
}

function makeKey(...args: readonly string[]): Made {
  const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, 'key', ...args], { encoding: 'utf8' });
  const [, key = '', entry = ''] = /^key: (\S+)\nAPI_KEYS: (\S+)\n$/.exec(stdout) ?? [];
  return { status, key, entry, stdout, stderr };
}

test('popfleet key makes a key and its entry', () => {
  const { status, key, entry, stderr } = makeKey();
  expect(status).toBe(0);
  expect(key).toMatch(/^pf_[a-z0-9]{8}_[\w-]{43}$/);
  expect(stderr).toMatch(/shown this once/);
  expect(entry).not.toContain(key.slice(12));
  const { keys, faults } = readApiKeys(entry);
  expect(faults).toEqual([]);
  expect(keys).toMatchObject([
    { id: key.slice(3, 11), scopes: new Set(['enqueue', 'read']), queues: undefined },
  ]);

  const narrow = makeKey('--scopes', 'enqueue', '--queues', 'mail, video');
  expect(readApiKeys(narrow.entry).keys).toMatchObject([
    { scopes: new Set(['enqueue']), queues: new Set(['mail', 'video']) },
  ]);
  expect(narrow.key).not.toBe(key);
});

test.each([
  ['--scopes', 'root'],
  ['--scopes', ''],
  ['--queues', 'Not Fine'],
  ['--queues', ','],
])('popfleet key %s "%s" makes none', (...args) => {
  const { status, stdout, stderr } = makeKey(...args);
  expect(status).not.toBe(0);
  expect(stdout).toBe('');
  expect(stderr).toMatch(/It must name/);
});

test('a server takes the entry, listens on every address, and lets the key in', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const { key, entry } = makeKey('--scopes', 'enqueue');
  const env = { REDIS_URL: redis.url, HOST: '0.0.0.0', API_KEYS: entry };
  const server = await stage.role('server', env);
  const url = server.url().replace('0.0.0.0', '127.0.0.1');
  const task = { one: 1, two: 2 };
  expect((await post(`${url}/add`, task)).status).toBe(401);
  expect((await post(`${url}/add`, task, { authorization: `Bearer ${key}` })).status).toBe(202);
  expect(server.errors()).toContain("-H 'authorization: Bearer KEY'");
});

test('without a key no server listens on every address, unless it is told to', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const env = { REDIS_URL: redis.url, HOST: '0.0.0.0' };
  const refused = spawnRole('server', env);
  expect(await refused.exited).toBe(78);
  expect(refused.errors()).toMatch(/^HOST: 0\.0\.0\.0 can be reached .* API_KEYS .* ALLOW_ANONYMOUS=1/);
  const server = await stage.here('server', { ...env, ALLOW_ANONYMOUS: '1' });
  const url = server.url().replace('0.0.0.0', '127.0.0.1');
  expect((await post(`${url}/add`, { one: 1, two: 2 })).status).toBe(202);
});

test('no secret reaches the log, an error message or an answer', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const { entry } = makeKey();
  const secrets = { password: 'canary-1', bearer: 'canary-2', cookie: 'canary-3', body: 'canary-4' };
  const env = {
    // This Redis has no such user.
    REDIS_URL: redis.url.replace('redis://', `redis://someone:${secrets.password}@`),
    API_KEYS: entry,
    LOG_LEVEL: 'trace',
  };
  const server = spawnRole('server', env);
  stage.atEnd(async () => {
    server.signal('SIGKILL');
    await server.exited;
  });
  await eventually(() => server.log().some(({ msg }) => msg === 'server started'));
  const url = server.url();
  await eventually(() => server.log().some(({ msg }) => String(msg).startsWith('Redis is away')));

  const headers = { authorization: `Bearer ${secrets.bearer}`, cookie: `popfleet=${secrets.cookie}` };
  const answers = [
    await call(`${url}/v1/queues`, { headers }),
    // What sessions are signed with is in Redis.
    await call(`${url}/v1/session`, { headers: { cookie: headers.cookie } }),
    await post(`${url}/v1/session`, { key: secrets.body }),
    await post(`${url}/v1/session`, { key: 'x', [secrets.body]: 1 }),
    await call(`${url}/readyz`),
    await call(`${url}/openapi.json`),
  ];
  expect(answers.map(({ status }) => status)).toEqual([401, 503, 401, 422, 503, 200]);
  server.signal('SIGTERM');
  expect(await server.exited).toBe(0);
  const said = JSON.stringify([server.log(), server.errors(), answers.map(({ body }) => body)]);
  expect(said).not.toContain('canary-1');
  expect(said).not.toContain('canary-2');
  expect(said).not.toContain('canary-3');
  expect(said).not.toContain(entry.split(':')[1]);
});

test('a worker with an address of Redis that cannot be read does not repeat it', async () => {
  const worker = spawnRole('worker', { REDIS_URL: 'redis://:canary/1@host:x' });
  expect(await worker.exited).toBe(78);
  expect(worker.errors()).toMatch(/^REDIS_URL: is not a valid URL/);
  expect(worker.errors()).not.toContain('canary');
});

test('a fleet of the two roles works with the same variables', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  const { key, entry } = makeKey();
  const env = { REDIS_URL: redis.url, API_KEYS: entry, CONCURRENCY: '1' };
  const [server] = await Promise.all([stage.here('server', env), stage.here('worker', env)]);
  const headers = { authorization: `Bearer ${key}` };
  const { body } = await post(`${server.url()}/add`, { one: 1, two: 2 }, headers);
  const done = await call(`${server.url()}/v1/tasks/${String(body['id'])}?wait=20`, { headers });
  expect(done.body).toMatchObject({ state: 'succeeded', result: 3 });
});

test('compose publishes a server without keys to this machine only', () => {
  const text = readFileSync(new URL('../../compose.yaml', import.meta.url), 'utf8');
  expect(text).toMatch(/^ +ports: \["127\.0\.0\.1:\$\{PORT:-3000\}:3000"\]$/m);
  expect(text).toMatch(/^ +API_KEYS: # passed on/m);
  expect(text).toMatch(/^ +ALLOW_ANONYMOUS: \$\{ALLOW_ANONYMOUS:-1\}$/m);
});
