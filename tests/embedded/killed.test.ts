// Programs and their embedded Redis that are killed, together or one without the other.

import { spawn } from 'node:child_process';
import { rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  ask,
  BLOCKED,
  cwd,
  expectAllSucceeded,
  inOwnFolder,
  kill,
  killRole,
  QUICK,
  redisPids,
  running,
  send,
  socket,
  start,
  untilWritten,
  watcherPids,
} from '../support/embedded.ts';
import { eventually } from '../support/eventually.ts';
import { call } from '../support/http.ts';

inOwnFolder();

test('case 37: a program killed by kill -9 takes its Redis with it; the next start goes on and no task is lost', async () => {
  const first = await start('all', BLOCKED);
  const ids = await send(first, 6);
  await eventually(async () => (await running(first)) === 2);
  await killRole(first);
  // At once: the Redis of the first may still be writing its file.
  const second = await start('all');
  expect(redisPids()).toHaveLength(1);
  expect(watcherPids()).toHaveLength(1);
  await expectAllSucceeded(second, ids);
  await killRole(second);
  await eventually(() => redisPids().length + watcherPids().length === 0);
});

test('case 37: a Redis that stands still is ended with its program as well', async () => {
  const all = await start('all');
  for (const pid of redisPids()) process.kill(pid, 'SIGSTOP');
  await killRole(all);
  await eventually(() => redisPids().length + watcherPids().length === 0);
});

test('case 37: a Redis that an earlier release has left behind is taken over', async () => {
  const first = await start('all', BLOCKED);
  const ids = await send(first, 4);
  await eventually(async () => (await running(first)) === 2);
  await untilWritten();
  kill([...watcherPids(), ...redisPids()]);
  await killRole(first);
  await eventually(() => redisPids().length === 0);
  rmSync(join(cwd, '.popfleet', 'watcher.pid'));
  const data = ['--dir', join(cwd, '.popfleet'), '--appendonly', 'yes', '--save', ''];
  const orphan = spawn('redis-server', ['--port', '0', '--unixsocket', socket(), ...data], {
    stdio: 'ignore',
  });
  await eventually(async () => (await ask(socket(), 'PING')) === 'PONG');

  const second = await start('all');
  expect(redisPids()).toHaveLength(1);
  expect(redisPids()).not.toContain(orphan.pid);
  await expectAllSucceeded(second, ids);
  expect(second.log().some((line) => /earlier run/.test(String(line['msg'])))).toBe(true);
});

test('program and Redis killed by kill -9 leave a stale socket: the next start goes on', async () => {
  const first = await start('all', BLOCKED);
  const ids = await send(first, 4);
  await eventually(async () => (await running(first)) === 2);
  await untilWritten();
  kill([...watcherPids(), ...redisPids()]);
  await killRole(first);
  await eventually(() => redisPids().length === 0);
  expect(statSync(socket()).isSocket()).toBe(true);

  await expectAllSucceeded(await start('all'), ids);
});

test('a Redis that is killed under the program is started again, and no task is lost', async () => {
  const all = await start('all', { ...QUICK, TASK_DURATION_MS: '300' });
  const ids = await send(all, 5);
  await eventually(async () => (await running(all)) === 2);
  await untilWritten();
  kill(redisPids());
  await eventually(async () => (await call(`${all.url()}/readyz`)).status === 503);
  await eventually(async () => (await call(`${all.url()}/readyz`)).status === 200);
  await eventually(async () => {
    const { body } = await call(`${all.url()}/v1/queues/default`);
    return (body['counts'] as Record<string, number>)['succeeded'] === ids.length;
  });
  await expectAllSucceeded(all, ids);
});

test('a program whose data another one has taken meanwhile starts no Redis beside that of the other', async () => {
  const all = await start('all');
  // The other one began while this one had no Redis; its process id may be the same in another container.
  writeFileSync(join(cwd, '.popfleet', 'owner.pid'), `${all.pid}\nanother\n`);
  kill(redisPids());
  await eventually(() =>
    all.log().some(({ msg }) => String(msg).startsWith('another program has taken the data')),
  );
  expect(redisPids()).toEqual([]);
});
