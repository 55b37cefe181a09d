// Probes of a program whose every thread is busy.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { expectBelow } from '../support/expect-below.ts';
import { type RoleProcess, startRole, stopRole } from '../support/fleet.ts';
import { call, post } from '../support/http.ts';

const THREADS = 2;
const TASKS = fileURLToPath(new URL('../fixtures/tasks.mjs', import.meta.url));

let cwd: string;
let all: RoleProcess;

beforeAll(async () => {
  cwd = mkdtempSync(join(tmpdir(), 'popfleet-health-'));
  const env = { CONCURRENCY: String(THREADS), TASK_DURATION_MS: '60000', SHUTDOWN_GRACE_MS: '0', TASKS };
  all = await startRole('all', env, cwd);
});

afterAll(async () => {
  await stopRole(all);
  rmSync(cwd, { recursive: true, force: true });
});

/** Milliseconds of each of 200 requests, one after the other, from the fastest to the slowest. */
async function latencies(path: string): Promise<number[]> {
  const times: number[] = [];
  for (let sent = 0; sent < 200; sent += 1) {
    const before = performance.now();
    const { status } = await call(`${all.url()}${path}`);
    times.push(performance.now() - before);
    expect(status).toBe(200);
  }
  return times.toSorted((a, b) => a - b);
}

async function runningTasks(): Promise<number> {
  const { body } = await call(`${all.url()}/v1/queues/default`);
  return (body['counts'] as Record<string, number>)['running'] ?? 0;
}

const p99 = async (path: string): Promise<number> => (await latencies(path))[197] ?? Number.NaN;

async function occupy(type: string, input: unknown): Promise<string[]> {
  const ids: string[] = [];
  for (let sent = 0; sent < THREADS + 20; sent += 1) {
    const { status, body } = await post(`${all.url()}/${type}`, input);
    expect(status).toBe(202);
    ids.push(String(body['id']));
  }
  await eventually(async () => (await runningTasks()) === THREADS);
  return ids;
}

test('/healthz answers within 50 ms (p99) while every thread computes', async () => {
  const ids = await occupy('burn', { ms: 150 });
  await expectBelow(50, () => p99('/healthz'));
  for (const id of ids) {
    const { body } = await call(`${all.url()}/v1/tasks/${id}?wait=20`);
    expect(body['state']).toBe('succeeded');
  }
});

test('/healthz answers within 50 ms (p99) while every thread is blocked and more tasks wait', async () => {
  await occupy('add', { one: 1, two: 2 });
  await expectBelow(50, () => p99('/healthz'));
  await expectBelow(50, () => p99('/readyz'));
  expect(await runningTasks()).toBe(THREADS);
});
