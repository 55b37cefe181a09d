// The data folder of the embedded Redis: nobody but its owner reads it, and what cannot be one is told in one sentence.

import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, onTestFinished } from 'vitest';
import { createDataFolder } from '../../src/embedded/data-folder.ts';
import { createLog } from '../../src/log.ts';
import { freePort } from '../support/redis.ts';
import { endAll, type RoleProcess, spawnRole, startRole, stopRole } from '../support/fleet.ts';
import { call, post } from '../support/http.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'popfleet-data-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function start(env: Record<string, string>): Promise<RoleProcess> {
  const all = await startRole('all', { CONCURRENCY: '1', ...env }, folder);
  onTestFinished(() => endAll([all]));
  return all;
}

async function expectToRun(all: RoleProcess): Promise<void> {
  const { body } = await post(`${all.url()}/add`, { one: 1, two: 2 });
  const task = await call(`${all.url()}/v1/tasks/${String(body['id'])}?wait=20`);
  expect(task.body).toMatchObject({ state: 'succeeded', result: 3 });
}

/** Paths in a folder, with itself, that others than the owner may open. */
function openToOthers(path: string): string[] {
  const inside = readdirSync(path, { recursive: true, encoding: 'utf8' }).map((name) => join(path, name));
  return [path, ...inside].filter((one) => (statSync(one).mode & 0o077) !== 0);
}

it('case 27: a folder that others could open is for its owner alone from then on, with everything in it', async () => {
  const data = join(folder, 'data');
  mkdirSync(join(data, 'appendonlydir'), { recursive: true });
  for (const one of [data, join(data, 'appendonlydir')]) chmodSync(one, 0o755);
  const all = await start({ DATA_DIR: data });
  await expectToRun(all);
  expect(readdirSync(join(data, 'appendonlydir')).length).toBeGreaterThan(0);
  expect(openToOthers(data)).toEqual([]);
  expect(await stopRole(all)).toBe(0);
  expect(openToOthers(data)).toEqual([]);
});

it('case 27: what an earlier release has written there is closed to others too', async () => {
  mkdirSync(join(folder, 'appendonlydir'));
  writeFileSync(join(folder, 'owner.pid'), '');
  chmodSync(folder, 0o777);
  for (const name of ['appendonlydir', 'owner.pid']) chmodSync(join(folder, name), 0o755);
  const data = createDataFolder(folder, createLog('silent', {}));
  await data.take();
  expect(openToOthers(folder)).toEqual([]);
  expect(readFileSync(join(folder, 'owner.pid'), 'utf8')).toMatch(
    new RegExp(`^${process.pid}\\n[0-9a-f-]{36}\\n.*\\n${hostname()}\\n$`),
  );
  data.leave();
  expect(readdirSync(folder)).toEqual(['appendonlydir']);
});

it('case 27: an open folder with other things in it is refused, and keeps its rights', async () => {
  writeFileSync(join(folder, 'letter.txt'), '');
  chmodSync(folder, 0o755);
  await expect(createDataFolder(folder, createLog('silent', {})).take()).rejects.toMatchObject({
    code: 'bad-config',
    message: `DATA_DIR: other users can open ${folder}, which also has letter.txt in it: name a folder of its own, or allow only its owner (chmod 700)`,
  });
  expect(statSync(folder).mode & 0o777).toBe(0o755);
  chmodSync(folder, 0o700);
  const data = createDataFolder(folder, createLog('silent', {}));
  await data.take();
  data.leave();
  expect(readdirSync(folder)).toEqual(['letter.txt']);
});

it.each([
  ['is a file', 'file', 'it is not a folder'],
  ['lies in a file', 'file/data', 'a part of the path is a file'],
  ['has too long a name', 'n'.repeat(300), 'its name is too long'],
  ['leads in circles', 'circle/data', 'its links lead back to themselves'],
])('case 47: a DATA_DIR that %s is told in one sentence', async (_, path, reason) => {
  writeFileSync(join(folder, 'file'), '');
  symlinkSync('circle', join(folder, 'circle'));
  const data = join(folder, path);
  await expect(createDataFolder(data, createLog('silent', {})).take()).rejects.toMatchObject({
    code: 'bad-config',
    message: `DATA_DIR: ${data} cannot hold the data: ${reason}`,
  });
});

it('case 47: a DATA_DIR that is a file stops the program with one sentence and exit code 78', async () => {
  writeFileSync(join(folder, 'file'), '');
  const all = spawnRole('all', { DATA_DIR: 'file' }, folder);
  expect(await all.exited).toBe(78);
  expect(all.errors()).toBe(`DATA_DIR: ${folder}/file cannot hold the data: it is not a folder\n`);
});

it('case 47: a port that is in use is told in one sentence, and nothing is left of the start', async () => {
  const PORT = String(await freePort());
  const first = await start({ DATA_DIR: 'first', PORT });
  const second = spawnRole('all', { DATA_DIR: 'second', PORT }, folder);
  onTestFinished(() => endAll([second]));
  expect(await second.exited).toBe(1);
  expect(second.errors()).toBe(
    `PORT: another program listens on port ${PORT} of 127.0.0.1: stop it, or set PORT to a free one (0 = any)\n`,
  );
  expect(readdirSync(join(folder, 'second'))).toEqual(['appendonlydir']);
  await expectToRun(first);
});

it.each([
  ['192.0.2.1', 'HOST: 192.0.2.1 is no address of this machine'],
  ['no-such-host.invalid', 'HOST: no address is known for no-such-host.invalid'],
])('case 47: HOST=%s is told in one sentence', async (HOST, sentence) => {
  const env = { HOST, REDIS_URL: 'redis://127.0.0.1:1', ALLOW_ANONYMOUS: '1' };
  const server = spawnRole('server', env, folder);
  onTestFinished(() => endAll([server]));
  expect(await server.exited).toBe(78);
  expect(server.errors()).toBe(`${sentence}\n`);
});

it('case 47: HOST may have an IPv6 address as URLs have it', async () => {
  const all = await start({ HOST: '[::1]' });
  expect(all.url()).toMatch(/^http:\/\/\[::1\]:\d+$/);
  await expectToRun(all);
});
it('case 47: a DATA_DIR may have any characters', async () => {
  const all = await start({ DATA_DIR: 'what? #1 100%25 ü&=' });
  await expectToRun(all);
  const beside = await startRole('server', { DATA_DIR: 'what? #1 100%25 ü&=' }, folder);
  onTestFinished(() => endAll([beside]));
  expect(existsSync(join(folder, 'what? #1 100%25 ü&=', 'appendonlydir'))).toBe(true);
  await stopRole(beside);
  expect(await stopRole(all)).toBe(0);
});
