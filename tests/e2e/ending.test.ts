// Every way to end, in every phase of every role: no process is left, and no task counts as lost that could be given back.
// `npm run test:signals` (POPFLEET_ALL_SIGNALS=1) sends every signal to every role in every phase.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, type TestContext } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { endAll, type RoleProcess, spawnRole, startRole } from '../support/fleet.ts';
import { call, post } from '../support/http.ts';
import { LIFE_TASKS, look, pidsIn, send } from '../support/life.ts';
import { isAlive, runningProcesses } from '../support/processes.ts';
import { recordOf } from '../support/records.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { type RoleHere, startHere, stopHere } from '../support/start-here.ts';

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const;
const ROLES = ['server', 'worker', 'all'] as const;
type Role = (typeof ROLES)[number];
/** Each of these signals is handled alike: by default a role gets one of them while it loads and another one while it runs. */
const EVERY = process.env['POPFLEET_ALL_SIGNALS'] === '1';
const NEVER_LOADS = fileURLToPath(new URL('../fixtures/never-loads.mjs', import.meta.url));
const STRAY = fileURLToPath(new URL('../fixtures/stray.mjs', import.meta.url));
/** Longer than a second signal is taken for the same press as the first. */
const NEXT_PRESS_MS = 600;

let redis: TestRedis;
let server: RoleHere;
let folders = 0;

beforeAll(async () => {
  redis = await startRedis();
  server = await startHere('server', { ...LIFE_TASKS, REDIS_URL: redis.url });
});
afterAll(async () => {
  await stopHere(server);
  await redis?.stop();
});

/** Over all roles and both phases every signal is sent. */
function signalsOf(role: Role, phase: 'loading' | 'running'): readonly NodeJS.Signals[] {
  const turn = ROLES.indexOf(role) + (phase === 'loading' ? 0 : 2);
  return SIGNALS.filter((_, at) => EVERY || at === turn % SIGNALS.length);
}

/** Settings of a role with data of its own: a queue, or a Redis. */
function own(role: Role): { readonly env: Record<string, string>; readonly data: string } {
  folders += 1;
  const data = join(redis.dir, `data-${folders}`);
  const shared = { CONCURRENCY: '1', QUEUES: `own-${folders}`, LEASE_MS: '6000', HEARTBEAT_MS: '500' };
  return {
    env: { ...shared, ...(role === 'all' ? { DATA_DIR: data } : { REDIS_URL: redis.url }) },
    data,
  };
}

/** @param atEnd of the context of a test that others run beside */
async function started(
  role: string,
  env: Record<string, string>,
  atEnd: TestContext['onTestFinished'] = onTestFinished,
): Promise<RoleProcess> {
  const one = await startRole(role, env);
  atEnd(() => endAll([one]));
  return one;
}

const says = (one: RoleProcess, msg: string): boolean => one.log().some((line) => line['msg'] === msg);
/** Processes that have the folder in their command line: the Redis there, and what watches it. */
const around = (folder: string): string[] =>
  runningProcesses().flatMap(({ command }) => (command.includes(`${folder}/`) ? [command] : []));

async function untilRunning(url: string, id: string): Promise<void> {
  await eventually(async () => (await look(url, id)).state === 'running');
}

describe.each(ROLES)('role %s', (role) => {
  it.each(signalsOf(role, 'loading'))('case 46: %s while its modules load ends it', async (signal) => {
    const { env, data } = own(role);
    const one = spawnRole(role, { ...env, TASKS: NEVER_LOADS });
    onTestFinished(() => endAll([one]));
    await eventually(() => says(one, 'loading'));
    one.signal(signal);
    expect(await one.exited).toBe(0);
    expect(one.errors()).toBe('');
    expect(around(data)).toEqual([]);
  });

  it('case 37: each of these signals while it runs ends it and gives its task back', async () => {
    await Promise.all(signalsOf(role, 'running').map((signal) => endWhileRunning(role, signal)));
  });

  it.each(['exception', 'rejection'])(
    'case 37: an uncaught %s is logged and ends it like a stop, with 1',
    async (stray) => {
      const { env, data } = own(role);
      const one = await started(role, { ...env, TASKS: STRAY, STRAY: stray });
      one.signal('SIGUSR2');
      expect(await one.exited).toBe(1);
      const fatal = one.log().find(({ level }) => level === 60);
      expect(fatal).toMatchObject({ err: { type: 'RangeError', message: 'strayed' } });
      expect((fatal?.['err'] as Error | undefined)?.stack).toContain('stray.mjs');
      await eventually(() => says(one, role === 'server' ? 'server stopped' : 'worker stopped'));
      expect(around(data)).toEqual([]);
    },
  );
});

async function endWhileRunning(role: Role, signal: NodeJS.Signals): Promise<void> {
  const { env, data } = own(role);
  const one = await started(role, { ...env, ...LIFE_TASKS, SHUTDOWN_GRACE_MS: '0' });
  const url = role === 'all' ? one.url() : server.url();
  const id = await send(url, 'spin', {}, { queue: env['QUEUES'] });
  if (role !== 'server') await untilRunning(url, id);
  one.signal(signal);
  expect(await one.exited, signal).toBe(0);
  expect(around(data), signal).toEqual([]);
  const { client } = role === 'all' ? await redisOver(data) : redis;
  const record = await recordOf(client, env['QUEUES'] ?? '', id);
  expect(record, signal).toMatchObject({ state: 'ready', crashes: 0 });
}

/** Reads what an embedded Redis has left. */
async function redisOver(dir: string): Promise<TestRedis> {
  const second = await startRedis({ dir });
  onTestFinished(() => second.stop());
  return second;
}

it.each(['worker', 'all'] as const)(
  'case 37: a second signal to %s gives the running task back instead of waiting for it',
  async (role) => {
    const { env, data } = own(role);
    const one = await started(role, { ...env, ...LIFE_TASKS, SHUTDOWN_GRACE_MS: '600000' });
    const url = role === 'all' ? one.url() : server.url();
    const id = await send(url, 'spin', {}, { queue: env['QUEUES'] });
    await untilRunning(url, id);
    one.signal('SIGINT');
    // npm passes on what the terminal has sent to it as well: that is one press.
    one.signal('SIGINT');
    await eventually(() => says(one, 'stopping'));
    await sleep(NEXT_PRESS_MS);
    expect(says(one, 'stopping at once: running tasks are given back')).toBe(false);
    one.signal('SIGINT');
    expect(await one.exited).toBe(0);
    expect(around(data)).toEqual([]);
    if (role === 'worker') expect(await look(url, id)).toMatchObject({ state: 'ready', crashes: 0 });
  },
);

it.each(SIGNALS)('case 37: %s ends a load run with its summary', async (signal) => {
  const queue = `load-${signal.toLowerCase()}`;
  const one = spawnRole('load', {}, undefined, [
    '--url',
    server.url(),
    '-n',
    '1',
    '--queue',
    queue,
    '--json',
  ]);
  onTestFinished(() => endAll([one]));
  await eventually(async () => {
    const { body } = await call(`${server.url()}/v1/queues/${queue}`);
    return ((body['counts'] ?? {}) as Record<string, number>)['ready'] !== undefined;
  });
  one.signal(signal);
  expect(await one.exited).toBe(130);
});

it('case 37: a request under way is answered when the server is asked to end', async () => {
  const { env } = own('server');
  const one = await started('server', { ...env, ...LIFE_TASKS });
  const id = await send(one.url(), 'spin', {}, { queue: env['QUEUES'] });
  const poll = call(`${one.url()}/v1/tasks/${id}?wait=50`);
  const sent = post(`${one.url()}/v1/tasks`, { type: 'spin', input: {}, queue: env['QUEUES'] });
  expect((await sent).status).toBe(202);
  one.signal('SIGHUP');
  expect((await poll).status).toBe(200);
  expect(await one.exited).toBe(0);
});

// These mostly wait: for limits of time in the program, and for a second signal that is no part of the first. So they do it side by side.

it.concurrent('case 46: a signal while the threads load ends worker and Redis', async ({
  onTestFinished: atEnd,
}) => {
  await Promise.all(
    (['worker', 'all'] as const).flatMap((role) =>
      signalsOf(role, 'loading').map(async (signal) => {
        const { env, data } = own(role);
        const one = spawnRole(role, { ...env, TASKS: NEVER_LOADS, NEVER_LOADS: 'threads' });
        atEnd(() => endAll([one]));
        await eventually(() => says(one, 'loading'));
        one.signal(signal);
        expect(await one.exited).toBe(0);
        expect(around(data)).toEqual([]);
      }),
    ),
  );
});

it.concurrent('case 37: a second signal ends the process of an isolated task, and its crash is not counted again', async ({
  onTestFinished: atEnd,
}) => {
  const { env } = own('worker');
  const settings = { ...env, ...LIFE_TASKS, LEASE_MS: '1500', SHUTDOWN_GRACE_MS: '600000' };
  const file = join(redis.dir, 'isolated-runs');
  const first = await started('worker', settings, atEnd);
  const id = await send(server.url(), 'spin', { file }, { queue: env['QUEUES'] });
  await eventually(() => pidsIn(file).length === 1);
  first.signal('SIGKILL');
  const second = await started('worker', settings, atEnd);
  const [, isolated = 0] = await eventually(() => pidsIn(file).length === 2 && pidsIn(file));
  expect(isolated).not.toBe(second.pid);
  second.signal('SIGHUP');
  await eventually(() => says(second, 'stopping'));
  await sleep(NEXT_PRESS_MS);
  second.signal('SIGTERM');
  expect(await second.exited).toBe(0);
  await eventually(() => !isAlive(isolated));
  expect(await look(server.url(), id)).toMatchObject({ state: 'ready', crashes: 1 });
});

it.concurrent('case 37: where nothing can be given back a second signal ends it soon, and a third at once', async ({
  onTestFinished: atEnd,
}) => {
  const { env } = own('worker');
  const frozen = await startRedis();
  atEnd(() => frozen.stop());
  const hung = { ...env, REDIS_URL: frozen.url, SHUTDOWN_GRACE_MS: '600000', BLOCK_MS: '60000' };
  const [patient, pressed] = await Promise.all([
    started('worker', hung, atEnd),
    started('worker', hung, atEnd),
  ]);
  // One that waits for nothing yet ends in order.
  await eventually(async () => {
    const clients = (await frozen.client.client('LIST')) as string;
    return clients.split(' cmd=brpop ').length === 3;
  });
  await frozen.signal('SIGSTOP');
  for (const one of [patient, pressed]) one.signal('SIGTERM');
  await eventually(() => [patient, pressed].every((one) => says(one, 'stopping')));
  await sleep(NEXT_PRESS_MS);
  for (const one of [patient, pressed]) one.signal('SIGTERM');
  await eventually(() => says(pressed, 'stopping at once: running tasks are given back'));
  await sleep(NEXT_PRESS_MS);
  pressed.signal('SIGTERM');
  expect(await Promise.all([patient.exited, pressed.exited])).toEqual(['SIGKILL', 'SIGKILL']);
  // What they have written may be read after their end is known.
  await eventually(() => says(patient, 'the stop took too long: ending without it'));
  await eventually(() => says(pressed, 'ending without a stop'));
  await frozen.signal('SIGCONT');
});

it.concurrent('case 37: a thread that a system call holds does not keep the process from ending', async ({
  onTestFinished: atEnd,
}) => {
  const { env } = own('worker');
  const one = await started('worker', { ...env, ...LIFE_TASKS, SHUTDOWN_GRACE_MS: '0' }, atEnd);
  const pipe = join(redis.dir, 'pipe');
  spawnSync('mkfifo', [pipe]);
  const id = await send(server.url(), 'in-the-kernel', { pipe }, { queue: env['QUEUES'] });
  await untilRunning(server.url(), id);
  one.signal('SIGTERM');
  await one.exited;
  expect(await look(server.url(), id)).toMatchObject({ state: 'ready', crashes: 0 });
});
