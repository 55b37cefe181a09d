// From the end of a run to its outcome: the word, the delay and what is told of it, for everything that may happen.

import { decode } from 'cbor-x';
import * as v from 'valibot';
import { expect, test } from 'vitest';
import { createLog } from '../../src/log.ts';
import { encodeContent } from '../../src/protocol/message.ts';
import type { ClaimedTask, Outcome } from '../../src/store/consumer.ts';
import { defineTask, type TaskDefinition } from '../../src/tasks/define.ts';
import { createExecute } from '../../src/worker/execute.ts';
import { createPrefetch } from '../../src/worker/prefetch.ts';
import type { HandlerEnd, Job, RunEnd, Runner, StopReason } from '../../src/worker/runners/runner.ts';
import { createSlots, type HeldTask } from '../../src/worker/slots.ts';
import { ROOM_FOR_ALL } from '../../src/worker/thread-room.ts';

const ID = '01890000-0000-7000-8000-000000000000';
const TOKEN = 'running 7 0 0 normal 0 1 worker';
const backoff = { type: 'exponential', baseMs: 100, factor: 3, capMs: 800, jitter: 'none' } as const;
const known = defineTask({
  type: 'known',
  input: v.unknown(),
  defaults: { maxAttempts: 5, backoff, resultTtlMs: 70_000 },
  run: () => undefined,
});
const limited = defineTask({
  type: 'limited',
  input: v.unknown(),
  defaults: { timeoutMs: 20 },
  run: () => undefined,
});
const registry = new Map([known, limited].map((one) => [one.type, one as TaskDefinition]));
const broken = {
  name: 'TypeError',
  message: 'broken',
  stack: 'TypeError: broken\n    at run (task.mjs:1:1)',
};

interface Setting {
  readonly end?: RunEnd;
  readonly type?: string;
  readonly options?: Record<string, unknown>;
  readonly failures?: number;
  readonly crashes?: number;
  /** What `random` answers. */
  readonly random?: number;
  /** Runs the job instead of ending it with `end`. */
  readonly run?: Runner['run'];
  readonly logLevel?: string;
}

interface Result {
  readonly outcome: Outcome | undefined;
  /** What the outcome's payload says. */
  readonly payload: unknown;
  readonly jobs: readonly { readonly where: string; readonly job: Job }[];
  /** The lines of the log. */
  readonly logged: readonly Record<string, unknown>[];
}

function hold(setting: Setting): HeldTask {
  const { type = 'known', options = {}, failures = 0, crashes = 0 } = setting;
  const content = encodeContent(type, { some: 'input' }, options);
  const task: ClaimedTask = { queue: 'default', id: ID, claim: 7, token: TOKEN, failures, crashes, content };
  const held = createSlots(() => 1).hold(task);
  if (!held) throw new Error('not held');
  return held;
}

async function execute(setting: Setting): Promise<Result> {
  const jobs: { where: string; job: Job }[] = [];
  const runner = (where: string): Runner => ({
    async run(job, stop) {
      jobs.push({ where, job });
      if (setting.run) return setting.run(job, stop);
      if (!setting.end) throw new Error('nothing was to be run');
      return setting.end;
    },
  });
  const { random = 0.5, logLevel = 'info' } = setting;
  const logged: Record<string, unknown>[] = [];
  const write = (line: string): void => void logged.push(JSON.parse(line) as Record<string, unknown>);
  const run = createExecute({
    registry,
    threads: runner('thread'),
    inline: runner('inline'),
    processes: runner('process'),
    prefetch: createPrefetch(1),
    threadRoom: ROOM_FOR_ALL,
    checkpoints: { read: async () => undefined, readNeeds: async () => [] },
    sources: { read: async () => undefined },
    version: '1.0.0',
    log: createLog(logLevel, {}, { write }),
    random: () => random,
  });
  const outcome = await run(hold(setting));
  return { outcome, payload: outcome?.payload.length ? decode(outcome.payload) : undefined, jobs, logged };
}

function ended(end: Partial<HandlerEnd> & { kind: HandlerEnd['kind'] }, reason?: StopReason): RunEnd {
  return {
    report: undefined,
    ...end,
    ...(reason && { stop: { reason, latencyMs: 3.149 } }),
  } as HandlerEnd;
}

const result = ended({ kind: 'succeeded', result: Uint8Array.of(0x18, 42) });
const failed = ended({ kind: 'failed', error: broken, permanent: false });
const later = ended({ kind: 'snoozed', delayMs: 1_234, error: { name: 'RetryLater', message: 'not yet' } });

function killed(reason: StopReason): RunEnd {
  return { kind: 'killed', stop: { reason, latencyMs: 12.345 } };
}

test.each<[string, Setting, Pick<Outcome, 'word' | 'delayMs'>, unknown]>([
  ['a result', { end: result }, { word: 'succeeded', delayMs: 0 }, 42],
  ['an error', { end: failed }, { word: 'failed', delayMs: 100 }, broken],
  ['the second error', { end: failed, failures: 1 }, { word: 'failed', delayMs: 300 }, broken],
  ['the third one, at the cap', { end: failed, failures: 2 }, { word: 'failed', delayMs: 800 }, broken],
  ['the last one', { end: failed, failures: 4 }, { word: 'dead', delayMs: 0 }, broken],
  ['more than there may be', { end: failed, failures: 9 }, { word: 'dead', delayMs: 0 }, broken],
  [
    'an error of a task whose call allows one attempt',
    { end: failed, options: { maxAttempts: 1 } },
    { word: 'dead', delayMs: 0 },
    broken,
  ],
  [
    'an error with full jitter',
    { end: failed, options: { backoff: { type: 'fixed', baseMs: 1_000, jitter: 'full' } }, random: 0.25 },
    { word: 'failed', delayMs: 250 },
    broken,
  ],
  [
    'an error that is permanent',
    { end: ended({ kind: 'failed', error: broken, permanent: true }) },
    { word: 'dead', delayMs: 0 },
    broken,
  ],
  [
    'RetryLater, also after the last attempt',
    { end: later, failures: 4 },
    { word: 'snoozed', delayMs: 1_234 },
    { name: 'RetryLater', message: 'not yet' },
  ],
  [
    'a kill at the deadline',
    { end: killed('timed-out'), options: { timeoutMs: 60_000 } },
    { word: 'failed', delayMs: 100 },
    {
      name: 'TimeoutError',
      message: 'it ran longer than 60000 ms',
      killCause: 'timeout',
      killLatencyMs: 12.3,
    },
  ],
  [
    'a kill at the last deadline',
    { end: killed('timed-out'), failures: 4 },
    { word: 'dead', delayMs: 0 },
    { name: 'TimeoutError', killCause: 'timeout' },
  ],
  [
    'a kill by a cancel, whatever attempts are left',
    { end: killed('cancelled') },
    { word: 'cancelled', delayMs: 0 },
    {
      name: 'Cancelled',
      message: 'it was cancelled while it ran',
      killCause: 'cancel',
      killLatencyMs: 12.3,
    },
  ],
  ['a shutdown', { end: killed('shutting-down') }, { word: 'released', delayMs: 0 }, undefined],
  [
    'an answer in spite of the deadline',
    { end: ended({ kind: 'succeeded', result: Uint8Array.of(1) }, 'timed-out') },
    { word: 'succeeded', delayMs: 0 },
    1,
  ],
  [
    'an error after the deadline',
    { end: ended({ kind: 'failed', error: broken, permanent: true }, 'timed-out') },
    { word: 'failed', delayMs: 100 },
    { name: 'TimeoutError', killCause: 'timeout', killLatencyMs: 3.1 },
  ],
  [
    'an error after a cancel',
    { end: ended({ kind: 'failed', error: broken, permanent: false }, 'cancelled') },
    { word: 'cancelled', delayMs: 0 },
    { name: 'Cancelled', killCause: 'cancel', killLatencyMs: 3.1 },
  ],
  [
    'RetryLater while shutting down',
    { end: ended({ kind: 'snoozed', delayMs: 9, error: broken }, 'shutting-down') },
    { word: 'released', delayMs: 0 },
    undefined,
  ],
  [
    'a thread that ran out of memory',
    { end: { kind: 'thread-lost', cause: 'out-of-memory', error: new Error('heap') } },
    { word: 'failed', delayMs: 100 },
    { name: 'Error', message: 'heap', killCause: 'out-of-memory' },
  ],
  [
    'a thread that exited at the last attempt',
    { end: { kind: 'thread-lost', cause: 'thread-exit', error: new Error('exit') }, failures: 4 },
    { word: 'dead', delayMs: 0 },
    { name: 'Error', message: 'exit', killCause: 'thread-exit' },
  ],
  [
    'a process that was lost: no failure, also after the last attempt',
    { end: { kind: 'process-lost', error: new Error('SIGSEGV') }, crashes: 1, failures: 4 },
    { word: 'crashed', delayMs: 0 },
    { name: 'Error', message: 'SIGSEGV', killCause: 'process-exit' },
  ],
])('%s', async (_, setting, outcome, payload) => {
  const done = await execute(setting);
  expect(done.outcome).toMatchObject({ id: ID, token: TOKEN, ...outcome });
  if (typeof payload === 'object') expect(done.payload).toMatchObject(payload as object);
  else expect(done.payload).toEqual(payload);
});

test('a task that belongs to another worker by now has no outcome', async () => {
  expect((await execute({ end: killed('lease-lost') })).outcome).toBeUndefined();
  const spoken = ended({ kind: 'failed', error: broken, permanent: false }, 'lease-lost');
  expect((await execute({ end: spoken })).outcome).toBeUndefined();
});

test('failures with the same cause have the same fingerprint, and no other outcome has one', async () => {
  const fingerprint = async (setting: Setting): Promise<unknown> =>
    ((await execute(setting)).payload as Record<string, unknown>)['fingerprint'];
  const first = await fingerprint({ end: failed });
  expect(first).toMatch(/^[\da-f]{16}$/);
  expect(await fingerprint({ end: failed, failures: 4 })).toBe(first);
  expect(await fingerprint({ end: killed('timed-out') })).not.toBe(first);
  expect(await fingerprint({ end: later })).toBeUndefined();
  expect(await fingerprint({ end: killed('cancelled') })).toBeUndefined();
});

test('case 39: the time to live goes with every outcome: its task may be cancelled, or be poison', async () => {
  const ttl = async (setting: Setting): Promise<unknown> => (await execute(setting)).outcome?.resultTtlMs;
  expect(await ttl({ end: result })).toBe(70_000);
  expect(await ttl({ end: result, options: { resultTtlMs: 5 } })).toBe(5);
  expect(await ttl({ end: failed, failures: 4 })).toBe(70_000);
  expect(await ttl({ end: killed('cancelled') })).toBe(70_000);
  expect(await ttl({ end: failed })).toBe(70_000);
  expect(await ttl({ end: later })).toBe(70_000);
  expect(await ttl({ end: killed('shutting-down') })).toBe(70_000);
  expect(await ttl({ options: { maxAttempts: 0 } })).toBe(70_000);
  expect(await ttl({ options: { maxAttempts: 0, resultTtlMs: 5 } })).toBe(5);
  expect(await ttl({ end: result, type: 'limited' })).toBeUndefined();
});

test('a type nobody knows is postponed, and nothing runs', async () => {
  const { outcome, payload, jobs } = await execute({ type: 'of-a-later-release' });
  expect(outcome).toMatchObject({ word: 'snoozed', delayMs: 10_000 });
  expect(payload).toMatchObject({
    name: 'UnknownType',
    message: expect.stringContaining('"of-a-later-release"') as string,
  });
  expect(jobs).toEqual([]);
});

test.each([
  [{ maxAttempts: 0 }],
  [{ timeoutMs: 'soon' }],
  [{ timeoutMs: 2 ** 31 }],
  [{ backoff: { type: 'linear' } }],
  [{ resultTtlMs: -1 }],
])('options of a foreign message that mean nothing fail it for good: %j', async (options) => {
  const { outcome, payload, jobs } = await execute({ options });
  expect(outcome).toMatchObject({ word: 'dead' });
  expect(payload).toMatchObject({ name: 'InvalidOptions', fingerprint: expect.any(String) as string });
  expect(jobs).toEqual([]);
});

test('a task that lost a worker runs in a process of its own, any other in a thread', async () => {
  const places = await Promise.all(
    [0, 1, 2].map(async (crashes) => (await execute({ end: result, crashes })).jobs[0]?.where),
  );
  expect(places).toEqual(['thread', 'process', 'process']);
});

test('a run is told its claim, its attempt and its time', async () => {
  const [first] = (await execute({ end: result, failures: 2, options: { timeoutMs: 5_000 } })).jobs;
  expect(first?.job).toMatchObject({ queue: 'default', id: ID, claim: 7, attempt: 3, timeoutMs: 5_000 });
  const [second] = (await execute({ end: result })).jobs;
  expect(second?.job.timeoutMs).toBeUndefined();
});

test('a run that found no place goes back, one that was stopped before ends as such', async () => {
  expect((await execute({ end: { kind: 'not-begun' } })).outcome).toMatchObject({ word: 'unbegun' });
  const { outcome } = await execute({
    run: (_job, stop) => {
      stop.stop('cancelled');
      return { kind: 'not-begun' };
    },
  });
  expect(outcome).toMatchObject({ word: 'cancelled' });
});

test('case 18: a failed attempt is logged with the task, its error and the delay', async () => {
  const { logged } = await execute({ end: failed, failures: 1 });
  expect(logged).toEqual([
    expect.objectContaining({ task: ID, type: 'known', attempt: 2, maxAttempts: 5, retryInMs: 300 }),
  ]);
  const at = 'run (task.mjs:1:1)';
  expect(logged[0]?.['error']).toEqual({ name: 'TypeError', message: 'broken', at });
  expect((await execute({ end: result })).logged).toEqual([]);
});
