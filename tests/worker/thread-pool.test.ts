// Tiny tasks that go to a thread together: whatever one of them does, the others lose nothing and none runs twice.

import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { decode } from 'cbor-x';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Prefetch, createPrefetch } from '../../src/worker/prefetch.ts';
import { MOST_JOBS } from '../../src/worker/runners/job-batch.ts';
import { createSemaphore } from '../../src/worker/runners/semaphore.ts';
import { ThreadPool } from '../../src/worker/runners/thread-pool.ts';
import { type RunEnd, StopSource } from '../../src/worker/runners/runner.ts';
import { eventually } from '../support/eventually.ts';
import { silentLog } from '../support/store.ts';
import { jobOf, noLink } from '../support/thread-pool.ts';

const MODULE = fileURLToPath(new URL('../fixtures/life.mjs', import.meta.url));

let folder: string;
let journal: string;
let pool: ThreadPool;

async function startPool(waitLimitMs = 10_000): Promise<void> {
  // As if all tasks had been tiny so far.
  const prefetch: Prefetch = { ...createPrefetch(1), batchSize: () => MOST_JOBS };
  pool = new ThreadPool({
    settings: {
      tasks: { taskModules: [MODULE], baseDir: folder, taskDurationMs: 10 },
      resultLimitBytes: 1_000,
      threadMemoryMb: 64,
    },
    semaphore: createSemaphore(1),
    prefetch,
    link: noLink,
    log: silentLog,
    waitLimitMs,
  });
  await pool.start();
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'popfleet-pool-'));
  journal = join(folder, 'journal');
});

afterEach(async () => {
  await pool.stop();
  rmSync(folder, { recursive: true });
});

interface Sent {
  readonly type: string;
  readonly input?: Record<string, unknown>;
  readonly timeoutMs?: number;
}

/** Gives all of them to the pool in one turn of the event loop, so that they go to its thread together. */
function sendTogether(
  sent: readonly Sent[],
): { readonly stop: StopSource; readonly ended: Promise<RunEnd> }[] {
  return sent.map(({ type, input = {}, timeoutMs }, index) => {
    const stop = new StopSource();
    return { stop, ended: Promise.resolve(pool.run(jobOf(index, type, input, timeoutMs), stop)) };
  });
}

const numbered = (value: number): Sent => ({ type: 'noted', input: { file: journal, value } });

function noted(): number[] {
  return readFileSync(journal, 'utf8').trim().split('\n').map(Number);
}

/** The result of a run, or the kind of its end. */
async function endOf({ ended }: { readonly ended: Promise<RunEnd> }): Promise<unknown> {
  const end = await ended;
  if (end.kind !== 'succeeded') return end.kind;
  return decode(end.result) as unknown;
}

test('all run one after the other, each once, and each has its own result', async () => {
  await startPool();
  const values = Array.from({ length: MOST_JOBS }, (_, index) => index);
  const sent = sendTogether(values.map(numbered));
  expect(await Promise.all(sent.map(endOf))).toEqual(values);
  expect(noted()).toEqual(values);
});

test('a thread is ended for one of them: those before have ended, those after go back and have not begun', async () => {
  await startPool();
  const begun = join(folder, 'begun');
  const spin = { type: 'spin', input: { file: begun } };
  const [first, second, spinning, ...after] = sendTogether([
    numbered(0),
    numbered(1),
    spin,
    numbered(3),
    numbered(4),
  ]);
  expect(first && (await endOf(first))).toBe(0);
  expect(second && (await endOf(second))).toBe(1);
  // Before it has begun it would go back like the others.
  await eventually(() => existsSync(begun));
  spinning?.stop.stop('cancelled');
  expect(spinning && (await spinning.ended)).toMatchObject({ kind: 'killed', stop: { reason: 'cancelled' } });
  expect(await Promise.all(after.map(endOf))).toEqual(['not-begun', 'not-begun']);
  expect(noted()).toEqual([0, 1]);
  // The place is free again.
  expect(await Promise.all(sendTogether([numbered(9)]).map(endOf))).toEqual([9]);
});

test('a thread is lost with one of them: those before have ended, those after go back', async () => {
  await startPool();
  const sent = sendTogether([numbered(0), { type: 'exit', input: { code: 3 } }, numbered(2)]);
  expect(await Promise.all(sent.map(endOf))).toEqual([0, 'thread-lost', 'not-begun']);
  expect(noted()).toEqual([0]);
});

test('one that shall stop before it has begun does not begin, and the others do', async () => {
  await startPool();
  const sent = sendTogether([{ type: 'where', input: { ms: 10 } }, numbered(1), numbered(2)]);
  sent[1]?.stop.stop('cancelled');
  expect(await Promise.all(sent.slice(1).map(endOf))).toEqual(['not-begun', 2]);
});

test('one that waits too long for those before it goes back', async () => {
  await startPool(20);
  const sent = sendTogether([{ type: 'where', input: { ms: 300 } }, numbered(1)]);
  const [long, waiting] = sent;
  let isOver = false;
  void long?.ended.then(() => {
    isOver = true;
  });
  expect(waiting && (await endOf(waiting))).toBe('not-begun');
  expect(isOver).toBe(false);
  await long?.ended;
});

test('the time of one counts from its own begin', async () => {
  await startPool();
  const sent = sendTogether([
    { type: 'where', input: { ms: 15 } },
    { type: 'listening', timeoutMs: 60 },
  ]);
  const begun = performance.now();
  const [before, limited] = sent;
  await before?.ended;
  expect(limited && (await limited.ended)).toMatchObject({ kind: 'failed', stop: { reason: 'timed-out' } });
  expect(performance.now() - begun).toBeGreaterThanOrEqual(75);
});
