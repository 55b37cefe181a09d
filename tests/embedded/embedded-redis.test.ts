// The role `all` without REDIS_URL: a private Redis in `.popfleet/` of the folder it was started in.

import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { socketPath } from '../../src/embedded/embedded-redis.ts';
import { eventually } from '../support/eventually.ts';
import { type RoleProcess, spawnRole, startRole } from '../support/fleet.ts';
import { call, post } from '../support/http.ts';

/** Leases that run out soon, so that work of a killed program runs again within the test. */
const QUICK = { CONCURRENCY: '2', LEASE_MS: '1200', HEARTBEAT_MS: '400', POP_GRACE_MS: '200' };
const BLOCKED = { ...QUICK, TASK_DURATION_MS: '60000', SHUTDOWN_GRACE_MS: '0' };

let cwd: string;
let processes: RoleProcess[] = [];

beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'popfleet-all-'));
});

afterEach(async () => {
  for (const one of processes.toReversed()) await stop(one);
  processes = [];
  // Whatever a test killed, no Redis of it may stay.
  expect(redisPids()).toEqual([]);
  rmSync(cwd, { recursive: true, force: true });
});

async function start(role: string, env: Record<string, string> = QUICK, folder = cwd): Promise<RoleProcess> {
  const started = await startRole(role, env, folder);
  processes.push(started);
  return started;
}

async function stop(one: RoleProcess): Promise<number | string> {
  one.signal('SIGTERM');
  const code = await one.exited;
  processes = processes.filter((other) => other !== one);
  return code;
}

const socket = (): string => join(cwd, '.popfleet', 'redis.sock');

/** Redis servers that were started for a socket: its path stands in their command line. */
function redisPids(path = socket()): number[] {
  const lines = existsSync('/proc/self/cmdline') ? commandLinesOfProc() : commandLinesOfPs();
  return lines
    .filter((line) => /(redis|valkey)-server/.test(line) && line.includes(path))
    .map((line) => Number.parseInt(line, 10));
}

function commandLinesOfProc(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return `${pid} ${readFileSync(`/proc/${pid}/cmdline`, 'utf8')}`;
      } catch {
        return ''; // It ended meanwhile.
      }
    });
}

/** Where there is no /proc, as on macOS. */
function commandLinesOfPs(): string[] {
  return execFileSync('ps', ['-A', '-o', 'pid=,args='], { encoding: 'utf8' }).split('\n');
}

async function ask(path: string, ...command: [string, ...string[]]): Promise<unknown> {
  const client = new Redis(path, { lazyConnect: true, disableClientInfo: true, retryStrategy: null });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await client.call(...command);
  } finally {
    client.disconnect();
  }
}

async function send(at: RoleProcess, count: number): Promise<string[]> {
  const sent = Array.from({ length: count }, (_, one) => post(`${at.url()}/add`, { one, two: 1 }));
  const answers = await Promise.all(sent);
  for (const { status } of answers) expect(status).toBe(202);
  return answers.map(({ body }) => String(body['id']));
}

async function expectAllSucceeded(at: RoleProcess, ids: readonly string[]): Promise<void> {
  const tasks = await Promise.all(ids.map((id) => call(`${at.url()}/v1/tasks/${id}?wait=20`)));
  expect(tasks.map(({ body }) => body['state'])).toEqual(ids.map(() => 'succeeded'));
  const { body } = await call(`${at.url()}/v1/queues/default`);
  expect(body['counts']).toMatchObject({
    accepted: ids.length,
    succeeded: ids.length,
    dead: 0,
    running: 0,
    ready: 0,
  });
}

const settings = async (name: string): Promise<unknown> =>
  ((await ask(socket(), 'CONFIG', 'GET', name)) as unknown[])[1];

test('its Redis has a socket and an append-only file under .popfleet, evicts nothing, and stops with it', async () => {
  const all = await start('all');
  expect(statSync(socket()).isSocket()).toBe(true);
  expect(statSync(socket()).mode & 0o077).toBe(0);
  expect(statSync(join(cwd, '.popfleet')).mode & 0o077).toBe(0);
  expect(await settings('appendonly')).toBe('yes');
  expect(await settings('maxmemory-policy')).toBe('noeviction');
  expect(await settings('port')).toBe('0');
  expect(redisPids()).toHaveLength(1);
  await expectAllSucceeded(all, await send(all, 1));
  expect(readdirSync(join(cwd, '.popfleet', 'appendonlydir')).length).toBeGreaterThan(0);
  // A person who starts it is told where everything is, and what to try.
  expect(all.errors()).toContain(`${all.url()}/v1/tasks`);
  expect(all.errors()).toMatch(/curl .*\/add/);

  expect(await stop(all)).toBe(0);
  expect(redisPids()).toEqual([]);
  expect(readdirSync(join(cwd, '.popfleet'))).toEqual(['appendonlydir']);
});

test('tasks survive a restart, those that were running too, and no attempt is lost', async () => {
  const first = await start('all', BLOCKED);
  const ids = await send(first, 6);
  await eventually(async () => (await running(first)) === 2);
  expect(await stop(first)).toBe(0);

  const second = await start('all');
  await expectAllSucceeded(second, ids);
  for (const id of ids) {
    expect((await call(`${second.url()}/v1/tasks/${id}`)).body).toMatchObject({ attempt: 1, crashes: 0 });
  }
});

test('a program killed by kill -9 leaves its Redis behind: the next start takes it over and no task is lost', async () => {
  const first = await start('all', BLOCKED);
  const ids = await send(first, 6);
  await eventually(async () => (await running(first)) === 2);
  const [orphan] = redisPids();
  first.signal('SIGKILL');
  await first.exited;
  processes = [];
  expect(await ask(socket(), 'PING')).toBe('PONG');

  const second = await start('all');
  expect(redisPids()).toHaveLength(1);
  expect(redisPids()).not.toContain(orphan);
  await expectAllSucceeded(second, ids);
  expect(second.log().some((line) => /earlier run/.test(String(line['msg'])))).toBe(true);
});

/** While a disk is slow, Redis puts the writing of its file off for up to two seconds after it has answered. */
async function untilWritten(): Promise<void> {
  const client = new Redis(socket(), { disableClientInfo: true });
  await eventually(async () => {
    const info = await client.info('persistence');
    return info.includes('aof_buffer_length:0\r') && info.includes('aof_pending_bio_fsync:0\r');
  });
  client.disconnect();
}

test('program and Redis killed by kill -9 leave a stale socket: the next start goes on', async () => {
  const first = await start('all', BLOCKED);
  const ids = await send(first, 4);
  await eventually(async () => (await running(first)) === 2);
  first.signal('SIGKILL');
  await first.exited;
  processes = [];
  await untilWritten();
  for (const pid of redisPids()) process.kill(pid, 'SIGKILL');
  await eventually(() => redisPids().length === 0);
  expect(statSync(socket()).isSocket()).toBe(true);

  await expectAllSucceeded(await start('all'), ids);
});

test('an owner whose number belongs to another program by now is none', async () => {
  mkdirSync(join(cwd, '.popfleet'));
  writeFileSync(join(cwd, '.popfleet', 'owner.pid'), `${process.pid}\n`);
  writeFileSync(socket(), 'not even a socket');
  const all = await start('all');
  await expectAllSucceeded(all, await send(all, 1));
});

test('a Redis that is killed under the program is started again, and no task is lost', async () => {
  const all = await start('all', { ...QUICK, TASK_DURATION_MS: '300' });
  const ids = await send(all, 5);
  await eventually(async () => (await running(all)) === 2);
  await untilWritten();
  for (const pid of redisPids()) process.kill(pid, 'SIGKILL');
  await eventually(async () => (await call(`${all.url()}/readyz`)).status === 503);
  await eventually(async () => (await call(`${all.url()}/readyz`)).status === 200);
  await eventually(async () => {
    const { body } = await call(`${all.url()}/v1/queues/default`);
    return (body['counts'] as Record<string, number>)['succeeded'] === ids.length;
  });
  await expectAllSucceeded(all, ids);
});

test('a second start in the same folder ends with one clear sentence, and the first goes on', async () => {
  const first = await start('all');
  const second = spawnRole('all', QUICK, cwd);
  expect(await second.exited).toBe(78);
  expect(second.errors()).toBe(
    `process ${first.pid} already runs popfleet with the data in ${cwd}/.popfleet: stop it, or set DATA_DIR or REDIS_URL\n`,
  );
  expect(redisPids()).toHaveLength(1);
  await expectAllSucceeded(first, await send(first, 3));

  // Another data folder is the way out.
  const third = await start('all', { ...QUICK, DATA_DIR: join(cwd, 'other') });
  await expectAllSucceeded(third, await send(third, 1));
  await stop(third);
  expect(existsSync(join(cwd, 'other', 'redis.sock'))).toBe(false);
});

test('of several programs started in the same moment one stays', async () => {
  const started = [1, 2, 3].map(() => spawnRole('all', { ...QUICK, CONCURRENCY: '1' }, cwd));
  processes.push(...started);
  const up = (): RoleProcess[] =>
    started.filter((one) => one.log().some((line) => line['msg'] === 'server started'));
  await eventually(
    () => up().length === 1 && started.filter((one) => one.child.exitCode === 78).length === 2,
    15_000,
  );
  expect(redisPids()).toHaveLength(1);
  const [winner] = up();
  if (winner) await expectAllSucceeded(winner, await send(winner, 3));
});

test('a worker and a server started beside it without REDIS_URL find its Redis', async () => {
  const all = await start('all');
  const beside = { ...QUICK, QUEUES: 'beside' };
  const worker = await start('worker', beside);
  const server = await start('server', beside);
  const task = { type: 'add', input: { one: 1, two: 2 }, queue: 'beside' };
  const { body } = await post(`${server.url()}/v1/tasks`, task);
  const record = (await call(`${all.url()}/v1/tasks/${String(body['id'])}?wait=10`)).body;
  expect(record).toMatchObject({ state: 'succeeded', result: 3, worker: worker.worker() });
});

test.each(['worker', 'server'])(
  'the role %s without any Redis ends with one clear sentence',
  async (role) => {
    const lost = spawnRole(role, QUICK, cwd);
    expect(await lost.exited).toBe(78);
    expect(lost.errors()).toBe(
      `REDIS_URL: must be set for the role ${role} (or start the role all in this folder first)\n`,
    );
    expect(readdirSync(cwd)).toEqual([]);
  },
);

test('without a redis-server on the machine it says what to install', async () => {
  const lost = spawnRole('all', { ...QUICK, PATH: '/nowhere' }, cwd);
  expect(await lost.exited).toBe(78);
  expect(lost.errors()).toMatch(
    /^no redis-server is installed: install Redis or Valkey .*, or set REDIS_URL\n$/,
  );
});

const SET = '*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n';
test.each<[string, Record<string, string>, RegExp]>([
  ['at once', { 'appendonly.aof.manifest': 'rubbish\n' }, /manifest/i],
  [
    // Redis listens while it reads: a program that took that for a start would begin again and again.
    'after it has begun to listen',
    {
      'appendonly.aof.manifest': 'file appendonly.aof.1.incr.aof seq 1 type i\n',
      'appendonly.aof.1.incr.aof': `${SET.repeat(300_000)}rubbish`,
    },
    /Bad file format/,
  ],
])('a data folder that Redis cannot read is told and left as it is: it ends %s', async (_, files, said) => {
  const folder = join(cwd, '.popfleet', 'appendonlydir');
  mkdirSync(folder, { recursive: true });
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  const lost = spawnRole('all', QUICK, cwd);
  processes.push(lost);
  expect(await lost.exited).toBe(78);
  expect(lost.errors()).toMatch(
    /^the embedded Redis does not start in .*; nothing there was deleted\. It said:\n/,
  );
  expect(lost.errors()).toMatch(said);
  for (const [name, content] of Object.entries(files)) {
    expect(readFileSync(join(folder, name), 'utf8') === content, name).toBe(true);
  }
});

test('in a folder whose path is too long for a socket everything works as well', async () => {
  const deep = join(cwd, 'd'.repeat(60), 'e'.repeat(60));
  mkdirSync(deep, { recursive: true });
  const path = socketPath(join(deep, '.popfleet'));
  expect(Buffer.byteLength(join(deep, '.popfleet', 'redis.sock'))).toBeGreaterThan(107);
  expect(Buffer.byteLength(path)).toBeLessThanOrEqual(107);
  const all = await start('all', QUICK, deep);
  expect(redisPids(path)).toHaveLength(1);
  expect(statSync(path).isSocket()).toBe(true);
  expect(readdirSync(join(deep, '.popfleet'))).toContain('appendonlydir');
  const worker = await start('worker', { ...QUICK, QUEUES: 'beside' }, deep);
  const task = { type: 'add', input: { one: 1, two: 2 }, queue: 'beside' };
  const { body } = await post(`${all.url()}/v1/tasks`, task);
  const record = (await call(`${all.url()}/v1/tasks/${String(body['id'])}?wait=10`)).body;
  expect(record).toMatchObject({ state: 'succeeded', worker: worker.worker() });
  await stop(worker);
  await stop(all);
  expect(existsSync(path)).toBe(false);
  expect(redisPids(path)).toEqual([]);
});

test('two long paths have two sockets, and a path of exactly 107 bytes its own', () => {
  expect(socketPath(`/${'a'.repeat(120)}`)).not.toBe(socketPath(`/${'a'.repeat(121)}`));
  const longest = `/${'a'.repeat(107 - '/redis.sock'.length - 1)}`;
  expect(socketPath(longest)).toBe(`${longest}/redis.sock`);
  expect(socketPath(`${longest}a`)).not.toContain(longest);
});

async function running(at: RoleProcess): Promise<number> {
  const { body } = await call(`${at.url()}/v1/queues/default`);
  return (body['counts'] as Record<string, number>)['running'] ?? 0;
}
