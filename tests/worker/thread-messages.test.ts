// Nothing but whole messages reaches the code of the main thread.

import { expect, test } from 'vitest';
import { isFromThread } from '../../src/worker/runners/thread-messages.ts';

const by = { queue: 'mail', id: '01890000-0000-7000-8000-000000000000', type: 'known' };
const error = { name: 'TypeError', message: 'broken', stack: 'at run' };
const report = { queue: 'mail', id: by.id, claim: 1, progress: undefined, lines: ['a line'] };
const mark = { pid: 12_345, startTime: '99' };
const ended = { kind: 'ended', run: 3, ranMs: 0.5, exits: false };
const succeeded = { kind: 'succeeded', result: Uint8Array.of(1), report: undefined };

test.each<object>([
  { kind: 'loaded', proc: undefined },
  { kind: 'loaded', proc: '12/task/13' },
  { kind: 'not-loaded', reason: 'no such file' },
  { kind: 'report', report },
  { kind: 'report', report: { ...report, progress: { percent: 5, note: undefined } } },
  { kind: 'output', by, isLate: false, written: { stream: 'stderr', line: 'a line' } },
  { kind: 'output', by: undefined, isLate: true, written: { dropped: 4 } },
  { kind: 'child', run: 0, mark },
  { kind: 'child', run: 3, mark: { ...mark, startTime: undefined } },
  { kind: 'child-gone', pid: 12_345 },
  { kind: 'left-behind', by, error },
  { ...ended, end: succeeded },
  { ...ended, end: { ...succeeded, report } },
  { ...ended, end: { kind: 'failed', error, permanent: true, report: undefined } },
  { ...ended, end: { kind: 'snoozed', error, delayMs: 9, report: undefined } },
])('a whole message: %j', (message) => {
  expect(isFromThread(message)).toBe(true);
});

test.each<unknown>([
  undefined,
  null,
  'loaded',
  [],
  {},
  { kind: 'unknown' },
  { kind: 'loaded', proc: '../../etc' },
  { kind: 'not-loaded' },
  { kind: 'report', report: { ...report, lines: [1] } },
  { kind: 'report', report: { ...report, progress: { percent: 'five' } } },
  { kind: 'output', by: 'a task', isLate: false, written: { stream: 'stdout', line: 'a line' } },
  { kind: 'output', by, isLate: false, written: { stream: 'stdin', line: 'a line' } },
  { kind: 'child', run: 3, mark: { ...mark, pid: 1 } },
  { kind: 'child', run: 3, mark: { ...mark, pid: process.pid } },
  { kind: 'child-gone', pid: -12_345 },
  { kind: 'left-behind', by, error: 'broken' },
  { ...ended, run: undefined, end: succeeded },
  { ...ended, end: { ...succeeded, result: 'text' } },
  { ...ended, end: { ...succeeded, report: {} } },
  { ...ended, end: { ...succeeded, stop: { reason: 'cancelled', latencyMs: 0 } } },
  { ...ended, end: { kind: 'failed', error, report: undefined } },
  { ...ended, end: { kind: 'snoozed', error, delayMs: 'soon', report: undefined } },
  { ...ended, end: { kind: 'killed' } },
])('no message: %j', (message) => {
  expect(isFromThread(message)).toBe(false);
});
