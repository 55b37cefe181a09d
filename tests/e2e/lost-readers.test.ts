// Whoever reads the outputs of a role goes away. It works on without its log, and ends when it is asked to.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { createLineWriter } from '../../src/standard-streams.ts';
import { BARE_ENV } from '../support/bare-env.ts';
import { redisPids } from '../support/embedded.ts';
import { eventually } from '../support/eventually.ts';
import { expectBelow, msOf } from '../support/expect-below.ts';
import { endAll, spawnRole, startRole } from '../support/fleet.ts';
import { call, post } from '../support/http.ts';
import { isAlive, runningProcesses } from '../support/processes.ts';
import { freePort, startRedis, type TestRedis } from '../support/redis.ts';
import { type RoleHere, startHere, stopHere } from '../support/start-here.ts';

const CLI = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
const CHATTY = { TASKS: fileURLToPath(new URL('../fixtures/chatty.mjs', import.meta.url)) };
const ROLES = ['server', 'worker', 'all'] as const;

let redis: TestRedis;
let server: RoleHere;

beforeAll(async () => {
  redis = await startRedis();
  server = await startHere('server', { ...CHATTY, REDIS_URL: redis.url });
});
afterAll(async () => {
  await stopHere(server);
  await redis?.stop();
});

/** On a busy machine a request may find Redis slow: it is repeated. */
async function runChatty(url: string, queue: string): Promise<void> {
  const sent = await eventually(async () => {
    const { status, body } = await post(`${url}/v1/tasks`, { type: 'chatty', input: 500, queue });
    return status === 202 && String(body['id']);
  });
  await eventually(async () => (await call(`${url}/v1/tasks/${sent}`)).body['state'] === 'succeeded');
}

describe.each(ROLES)('role %s', (role) => {
  it.each([[['stdout']], [['stderr']], [['stdout', 'stderr']]] as const)(
    'case 48: %j closes',
    async (streams) => {
      const queue = `${role}-${streams.join('-')}`;
      const own = role === 'all' ? { DATA_DIR: join(redis.dir, queue) } : { REDIS_URL: redis.url };
      // Debug: a line for every task.
      const one = await startRole(role, {
        ...CHATTY,
        ...own,
        QUEUES: queue,
        LOG_LEVEL: 'debug',
        CONCURRENCY: '1',
      });
      onTestFinished(() => endAll([one]));
      for (const stream of streams) one.child[stream]?.destroy();

      const url = role === 'worker' ? server.url() : one.url();
      if (role === 'server')
        expect((await post(`${url}/v1/tasks`, { type: 'none', input: 1 })).status).toBe(404);
      else for (const _ of [1, 2]) await runChatty(url, queue);

      one.signal('SIGTERM');
      expect(await one.exited).toBe(0);
    },
  );
});

it.each(['stdout', 'stderr'] as const)('case 48: nothing reads %s from the start', async (stream) => {
  const data = join(redis.dir, `unread-${stream}`);
  const PORT = String(await freePort());
  const one = spawnRole('all', { DATA_DIR: data, CONCURRENCY: '1', PORT });
  onTestFinished(() => endAll([one]));
  one.child[stream]?.destroy();
  await eventually(async () => (await fetch(`http://127.0.0.1:${PORT}/readyz`)).ok);
  one.signal('SIGTERM');
  expect(await one.exited).toBe(0);
  expect(runningProcesses().filter(({ cwd }) => cwd.startsWith(data))).toEqual([]);
});

it.runIf(process.platform === 'linux')('case 48: the terminal goes away', async () => {
  const data = join(redis.dir, 'terminal');
  // script(1) gives its command a terminal, which is gone when script is killed.
  const command = `exec ${process.execPath} ${CLI} all`;
  const terminal = spawn('script', ['-qec', command, join(redis.dir, 'typescript')], {
    stdio: ['pipe', 'ignore', 'ignore'],
    env: {
      ...BARE_ENV,
      ...CHATTY,
      DATA_DIR: data,
      PORT: '0',
      CONCURRENCY: '1',
      LOG_LEVEL: 'debug',
      SHELL: '/bin/sh',
    },
  });
  onTestFinished(() => void terminal.kill('SIGKILL'));
  const inside = (): number[] =>
    runningProcesses().flatMap(({ pid, env, cwd }) =>
      (env.includes(`DATA_DIR=${data}`) || cwd.startsWith(data)) && pid !== terminal.pid ? [pid] : [],
    );
  await eventually(() => redisPids(`${data}/`).length > 0);
  const pids = inside();
  terminal.kill('SIGKILL');
  await once(terminal, 'exit');
  await eventually(() => inside().length === 0 && pids.every((pid) => !isAlive(pid)));
});

describe('a line writer', () => {
  const error = (code: string): Error => Object.assign(new Error(code), { code });

  it.each(['EPIPE', 'EIO', 'ENOSPC', 'EBADF'])(
    'case 48: drops lines at %s, and writes again when it can',
    (code) => {
      let fault: string | undefined = code;
      let out = '';
      const writer = createLineWriter(1, (_, bytes) => {
        if (fault !== undefined) throw error(fault);
        out += bytes.toString();
        return bytes.length;
      });
      writer.write('lost\n');
      fault = undefined;
      writer.write('kept\n');
      expect(out).toBe('kept\n');
    },
  );

  it('case 48: a reader that has stopped costs the patience once, and finds whole lines when it goes on', async () => {
    let room = 7;
    let out = '';
    const writer = createLineWriter(1, (_, bytes, from) => {
      const taken = Math.min(room, bytes.length - from);
      if (taken === 0) throw error('EAGAIN');
      room -= taken;
      out += bytes.subarray(from, from + taken).toString();
      return taken;
    });
    writer.write('whole\n');
    writer.write('split\n');
    await expectBelow(1_000, () =>
      msOf(() => {
        for (let line = 0; line < 1_000; line += 1) writer.write('dropped\n');
      }),
    );
    room = 100;
    writer.write('next\n');
    expect(out).toBe('whole\nsplit\nnext\n');
  });
});
