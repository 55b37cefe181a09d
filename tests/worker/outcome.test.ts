// From the end of a run to its outcome, without anything around it.

import { decode } from 'cbor-x';
import { expect, test } from 'vitest';
import { resolveRunOptions } from '../../src/protocol/options.ts';
import type { OutcomeWord } from '../../src/store/consumer.ts';
import { outcomeOf, type RunOutcome } from '../../src/worker/outcome.ts';
import type { HandlerEnd, RunEnd, StopReason } from '../../src/worker/runners/runner.ts';

const TTL_MS = 70_000;
const backoff = { type: 'fixed', baseMs: 1_000, jitter: 'full' } as const;
const options = resolveRunOptions({}, { maxAttempts: 2, backoff, timeoutMs: 50, resultTtlMs: TTL_MS });
const task = {
  queue: 'mail',
  id: '01890000-0000-7000-8000-000000000000',
  claim: 7,
  token: 'running 7 0 0 normal 0 1 worker',
  failures: 0,
  crashes: 0,
  content: Buffer.alloc(9),
};
const error = { name: 'TypeError', message: 'broken' };
const failed = { kind: 'failed', error, permanent: false, report: undefined } as const;
const snoozed = { kind: 'snoozed', error, delayMs: 9, report: undefined } as const;
const succeeded = { kind: 'succeeded', result: Uint8Array.of(0x18, 42), report: undefined } as const;

function outcome(end: RunEnd, failures = 0): RunOutcome | undefined {
  const run = { task: { ...task, failures }, type: 'known', options, resultTtlMs: TTL_MS, version: '1.0.0' };
  return outcomeOf(run, end, () => 0.25);
}

const stopped = (end: HandlerEnd, reason: StopReason): RunEnd => ({ ...end, stop: { reason, latencyMs: 3 } });
const killed = (reason: StopReason): RunEnd => ({ kind: 'killed', stop: { reason, latencyMs: 3 } });

test.each<[string, RunEnd, OutcomeWord, object | undefined]>([
  ['a snooze', snoozed, 'snoozed', error],
  ['a failure', failed, 'failed', error],
  ['a permanent failure', { ...failed, permanent: true }, 'dead', error],
  ['a kill at the deadline', killed('timed-out'), 'failed', { name: 'TimeoutError', killCause: 'timeout' }],
  ['a kill by a cancel', killed('cancelled'), 'cancelled', { name: 'Cancelled', killCause: 'cancel' }],
  ['a kill by a shutdown', killed('shutting-down'), 'released', undefined],
  ['a failure after a cancel', stopped(failed, 'cancelled'), 'cancelled', { name: 'Cancelled' }],
  ['a snooze in a shutdown', stopped(snoozed, 'shutting-down'), 'released', undefined],
  [
    'a lost thread',
    { kind: 'thread-lost', cause: 'out-of-memory', error },
    'failed',
    { killCause: 'out-of-memory' },
  ],
  [
    'a lost process',
    { kind: 'process-lost', error: new Error('SIGSEGV') },
    'crashed',
    { message: 'SIGSEGV', killCause: 'process-exit' },
  ],
  ['a run whose thread another one took down', { kind: 'displaced' }, 'released', undefined],
  ['a run that has not begun', { kind: 'not-begun' }, 'unbegun', undefined],
])('%s', (_, end, word, told) => {
  const { id, token } = task;
  const made = outcome(end);
  expect(made).toMatchObject({ id, token, word, contentBytes: 9, resultTtlMs: TTL_MS });
  if (!told) expect(made?.payload).toHaveLength(0);
  else {
    expect(decode(made?.payload ?? Buffer.alloc(0))).toMatchObject(told);
    expect(made?.error).toMatchObject(told);
  }
});

test.each<StopReason | undefined>([undefined, 'timed-out', 'cancelled', 'shutting-down', 'lease-lost'])(
  'a result counts, also when its run was asked to stop (%s)',
  (reason) => {
    const made = outcome(reason ? stopped(succeeded, reason) : succeeded);
    expect(made).toMatchObject({ word: 'succeeded', delayMs: 0 });
    expect(made?.error).toBeUndefined();
    expect(decode(made?.payload ?? Buffer.alloc(0))).toBe(42);
  },
);

test('only failures use up attempts, and wait for a backoff', () => {
  expect(outcome(failed)).toMatchObject({ word: 'failed', delayMs: 250 });
  expect(outcome(failed, 1)).toMatchObject({ word: 'dead', delayMs: 0 });
  expect(outcome(killed('timed-out'), 1)).toMatchObject({ word: 'dead' });
  expect(outcome(snoozed, 9)).toMatchObject({ word: 'snoozed', delayMs: 9 });
  expect(outcome({ kind: 'process-lost', error: new Error('gone') }, 9)).toMatchObject({ word: 'crashed' });
});

test('only a failure for good has a group, of which its fingerprint is the name', () => {
  const group =
    outcome({ ...failed, error: { name: 'Bad name', message: 'no order 123456' } }, 1)?.group ?? '';
  const [fingerprint, name, version, ...about] = group.split(' ');
  expect(fingerprint).toMatch(/^[0-9a-f]{16}$/);
  expect([name, version, JSON.parse(about.join(' '))]).toEqual([
    'Bad%20name',
    '1.0.0',
    { type: 'known', name: 'Bad name', message: 'no order <number>' },
  ]);
  for (const end of [failed, snoozed, killed('cancelled'), succeeded]) {
    expect(outcome(end)?.group).toBeUndefined();
  }
});

test('a run whose lease was lost has no outcome', () => {
  expect(outcome(killed('lease-lost'))).toBeUndefined();
  expect(outcome(stopped(failed, 'lease-lost'))).toBeUndefined();
});
