// What tests of the embedded Redis share: a folder of the test's own, the roles that were started in it, and its Redis.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, expect } from 'vitest';
import { eventually } from './eventually.ts';
import { type RoleProcess, startRole } from './fleet.ts';
import { call, post } from './http.ts';
import { runningProcesses } from './processes.ts';

/** Leases that run out soon, so that work of a killed program runs again within the test. */
export const QUICK = { CONCURRENCY: '2', LEASE_MS: '1200', HEARTBEAT_MS: '400', POP_GRACE_MS: '200' };
export const BLOCKED = { ...QUICK, TASK_DURATION_MS: '60000', SHUTDOWN_GRACE_MS: '0' };

export let cwd: string;
let processes: RoleProcess[] = [];

/** To be called at the top of a file: each test gets a folder, and what it starts there ends with it. */
export function inOwnFolder(): void {
  beforeEach(() => {
    cwd = mkdtempSync(join(tmpdir(), 'popfleet-all-'));
  });

  afterEach(async () => {
    for (const one of processes.toReversed()) await stop(one);
    processes = [];
    // Whatever a test killed, no Redis of it may stay.
    expect([...redisPids(), ...watcherPids()]).toEqual([]);
    rmSync(cwd, { recursive: true, force: true });
  });
}

export async function start(
  role: string,
  env: Record<string, string> = QUICK,
  folder = cwd,
): Promise<RoleProcess> {
  const started = await startRole(role, env, folder);
  processes.push(started);
  return started;
}

/** Of roles that a test starts in another way. */
export function endAfterTest(...ones: readonly RoleProcess[]): void {
  processes.push(...ones);
}

/** Ends a process with no chance to do anything about it. */
export async function killRole(one: RoleProcess): Promise<void> {
  one.signal('SIGKILL');
  await one.exited;
  processes = processes.filter((other) => other !== one);
}

export async function stop(one: RoleProcess): Promise<number | string> {
  one.signal('SIGTERM');
  const code = await one.exited;
  processes = processes.filter((other) => other !== one);
  return code;
}

export const socket = (): string => join(cwd, '.popfleet', 'redis.sock');

/** The Redis servers of a socket, whose path stands in their command line (behind a loader, with one), and what watches them. */
export function redisPids(path = socket()): number[] {
  return ofSocket(path, /^(?!\/bin\/sh ).*\b(?:redis|valkey)-server /);
}
export function watcherPids(path = socket()): number[] {
  return ofSocket(path, /^\/bin\/sh /);
}
function ofSocket(path: string, program: RegExp): number[] {
  return runningProcesses().flatMap(({ pid, command }) =>
    program.test(command) && command.includes(path) ? [pid] : [],
  );
}
export function kill(pids: readonly number[]): void {
  for (const pid of pids) process.kill(pid, 'SIGKILL');
}

export async function ask(path: string, ...command: [string, ...string[]]): Promise<unknown> {
  const client = new Redis(path, { lazyConnect: true, disableClientInfo: true, retryStrategy: null });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await client.call(...command);
  } finally {
    client.disconnect();
  }
}

export async function send(at: RoleProcess, count: number): Promise<string[]> {
  const sent = Array.from({ length: count }, (_, one) => post(`${at.url()}/add`, { one, two: 1 }));
  const answers = await Promise.all(sent);
  for (const { status } of answers) expect(status).toBe(202);
  return answers.map(({ body }) => String(body['id']));
}

export async function expectAllSucceeded(at: RoleProcess, ids: readonly string[]): Promise<void> {
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

/** While a disk is slow, Redis puts the writing of its file off for up to two seconds after it has answered. */
export async function untilWritten(): Promise<void> {
  const client = new Redis(socket(), { disableClientInfo: true });
  await eventually(async () => {
    const info = await client.info('persistence');
    return info.includes('aof_buffer_length:0\r') && info.includes('aof_pending_bio_fsync:0\r');
  });
  client.disconnect();
}

export async function running(at: RoleProcess): Promise<number> {
  const { body } = await call(`${at.url()}/v1/queues/default`);
  return (body['counts'] as Record<string, number>)['running'] ?? 0;
}
