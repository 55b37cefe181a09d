// Handlers find the variables of the program, without its secrets: in a thread, and in a process of their own.

import { fileURLToPath } from 'node:url';
import { decode } from 'cbor-x';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { encodeContent } from '../../src/protocol/message.ts';
import { createPrefetch } from '../../src/worker/prefetch.ts';
import { createSemaphore } from '../../src/worker/runners/semaphore.ts';
import { createProcessRunner } from '../../src/worker/runners/process.ts';
import { type Job, type Runner, StopSource } from '../../src/worker/runners/runner.ts';
import { ThreadPool } from '../../src/worker/runners/thread-pool.ts';
import { silentLog } from '../support/store.ts';
import { noLink } from '../support/thread-pool.ts';

const SECRETS = {
  REDIS_URL: 'redis://:canary-1@example.org',
  API_KEYS: 'canary-2',
  API_KEYS_FILE: '/canary-3',
};
const settings = {
  tasks: {
    taskModules: [fileURLToPath(new URL('../fixtures/environment.mjs', import.meta.url))],
    baseDir: '/',
    taskDurationMs: 0,
  },
  resultLimitBytes: 100_000,
  threadMemoryMb: 64,
};
const job: Job = {
  queue: 'default',
  id: '01890000-0000-7000-8000-000000000001',
  type: 'environment',
  claim: 1,
  content: encodeContent('environment', {}, {}),
  attempt: 1,
  timeoutMs: undefined,
};

beforeEach(() => {
  for (const [name, value] of Object.entries(SECRETS)) vi.stubEnv(name, value);
  vi.stubEnv('SMTP_PASSWORD', 'of the handler');
});

afterEach(() => vi.unstubAllEnvs());

async function seenBy(
  runner: Runner,
): Promise<{ readonly isMainThread: boolean; readonly env: Record<string, string> }> {
  const end = await runner.run(job, new StopSource());
  if (end.kind !== 'succeeded') throw new Error(JSON.stringify(end));
  return decode(end.result) as { isMainThread: boolean; env: Record<string, string> };
}

function expectNoSecrets(env: Record<string, string>): void {
  expect(env).toMatchObject({ SMTP_PASSWORD: 'of the handler', PATH: process.env['PATH'] });
  for (const name of Object.keys(SECRETS)) expect(env).not.toHaveProperty(name);
  expect(JSON.stringify(env)).not.toContain('canary');
}

test('in a thread', async () => {
  const deps = {
    settings,
    semaphore: createSemaphore(1),
    prefetch: createPrefetch(1),
    link: noLink,
    log: silentLog,
  };
  const pool = new ThreadPool(deps);
  await pool.start();
  try {
    const { isMainThread, env } = await seenBy(pool);
    expect(isMainThread).toBe(false);
    expectNoSecrets(env);
  } finally {
    await pool.stop();
  }
});

test('in a process of its own', async () => {
  const { isMainThread, env } = await seenBy(createProcessRunner(settings, noLink, silentLog));
  expect(isMainThread).toBe(true);
  expectNoSecrets(env);
});
