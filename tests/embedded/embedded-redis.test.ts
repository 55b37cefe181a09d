// The role `all` without REDIS_URL: a private Redis in `.popfleet/` of the folder it was started in.

import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { socketPath } from '../../src/embedded/socket.ts';
import {
  ask,
  BLOCKED,
  cwd,
  endAfterTest,
  expectAllSucceeded,
  inOwnFolder,
  killRole,
  QUICK,
  redisPids,
  running,
  send,
  socket,
  start,
  stop,
  untilWritten,
} from '../support/embedded.ts';
import { eventually } from '../support/eventually.ts';
import { type RoleProcess, spawnRole } from '../support/fleet.ts';
import { call, post } from '../support/http.ts';

inOwnFolder();

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

test('an owner whose number belongs to another program by now is none', async () => {
  mkdirSync(join(cwd, '.popfleet'));
  writeFileSync(join(cwd, '.popfleet', 'owner.pid'), `${process.pid}\n`);
  writeFileSync(socket(), 'not even a socket');
  const all = await start('all');
  await expectAllSucceeded(all, await send(all, 1));
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

test('a start beside a program in another container ends with one clear sentence; once that is gone it has the data', async () => {
  const first = await start('all');
  // As it would stand there: process ids of another container say nothing here.
  const [, name] = readFileSync(join(cwd, '.popfleet', 'owner.pid'), 'utf8').split('\n');
  writeFileSync(join(cwd, '.popfleet', 'owner.pid'), `999999999\n${name}\nboot pid:[1]\ncabin\n`);
  const second = spawnRole('all', QUICK, cwd);
  endAfterTest(second);
  expect(await second.exited).toBe(78);
  expect(second.errors()).toBe(
    `process 999999999 in another container (host name cabin) already runs popfleet with the data in ${cwd}/.popfleet: stop it, or set DATA_DIR or REDIS_URL\n`,
  );
  expect(redisPids()).toHaveLength(1);
  const ids = await send(first, 3);
  await expectAllSucceeded(first, ids);

  await untilWritten();
  await killRole(first);
  await eventually(() => redisPids().length === 0);
  await expectAllSucceeded(await start('all'), ids);
});

test('of several programs started in the same moment one stays', async () => {
  const started = [1, 2, 3].map(() => spawnRole('all', { ...QUICK, CONCURRENCY: '1' }, cwd));
  endAfterTest(...started);
  const up = (): RoleProcess[] =>
    started.filter((one) => one.log().some((line) => line['msg'] === 'server started'));
  await eventually(
    () => up().length === 1 && started.filter((one) => one.child.exitCode === 78).length === 2,
    60_000,
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
  endAfterTest(lost);
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
