// What the log says of runs that have not succeeded.

import { expect, test } from 'vitest';
import { createLog } from '../../src/log.ts';
import { resolveRunOptions } from '../../src/protocol/options.ts';
import type { TaskError } from '../../src/protocol/task-error.ts';
import { logRunEnd } from '../../src/worker/log-run-end.ts';
import type { RunOutcome, RunTask } from '../../src/worker/outcome.ts';

const error: TaskError = {
  name: 'TypeError',
  message: 'could not save',
  code: '23505',
  stack:
    'TypeError: could not save\n    at save (/app/node_modules/db/index.js:1:1)\n    at run (task.mjs:1:1)',
  cause: { name: 'Error', message: 'redis://a:canary@b', stack: 'Error: redis://a:canary@b' },
  fingerprint: '0123456789abcdef',
};
type Outcome = Pick<RunOutcome, 'word' | 'error' | 'delayMs'>;

const run: RunTask = {
  task: {
    queue: 'mail',
    id: '01890000-0000-7000-8000-000000000000',
    claim: 7,
    token: 'running 7 1 0 normal 0 1 worker',
    failures: 1,
    crashes: 1,
    content: Buffer.alloc(0),
  },
  type: 'known',
  options: resolveRunOptions({}, { maxAttempts: 5 }),
  resultTtlMs: undefined,
  version: '1.0.0',
};

function logged(outcome: Outcome | undefined, level = 'info'): Record<string, unknown>[] {
  const lines: Record<string, unknown>[] = [];
  const write = (line: string): void => void lines.push(JSON.parse(line) as Record<string, unknown>);
  logRunEnd(createLog(level, {}, { write }), run, outcome);
  return lines;
}

const WHY = {
  name: 'TypeError',
  message: 'could not save',
  code: '23505',
  at: 'run (task.mjs:1:1)',
  cause: { name: 'Error', message: 'redis://a:***@b' },
};

test.each<[string, Outcome | undefined, Record<string, unknown>]>([
  [
    'an attempt that is retried',
    { word: 'failed', error, delayMs: 300 },
    {
      level: 40,
      msg: 'an attempt failed, the task runs again',
      attempt: 2,
      maxAttempts: 5,
      retryInMs: 300,
      error: WHY,
    },
  ],
  [
    'the last attempt',
    { word: 'dead', error, delayMs: 0 },
    { level: 50, msg: 'an attempt failed, the task is dead', attempt: 2, maxAttempts: 5, error: WHY },
  ],
  ['a process that is lost', { word: 'crashed', error, delayMs: 0 }, { level: 40, crashes: 2, error: WHY }],
  ['a task that was lost', undefined, { level: 40, claim: 7 }],
])('case 18: the log says of %s which task it is, and why', (_, outcome, wanted) => {
  const lines = logged(outcome);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatchObject({ task: run.task.id, queue: 'mail', type: 'known', ...wanted });
  if (outcome) expect(lines[0]?.['error']).toEqual(WHY);
});

test('case 18: whole stacks are logged at the level debug', () => {
  const [line] = logged({ word: 'dead', error, delayMs: 0 }, 'debug');
  const { at: _, ...why } = WHY;
  expect(line).toMatchObject({ error: { ...why, stack: error.stack } });
  expect(JSON.stringify(line)).not.toContain('canary');
});

test.each<Outcome>([
  { word: 'snoozed', error, delayMs: 9 },
  { word: 'cancelled', error, delayMs: 0 },
  { word: 'released', delayMs: 0 },
  { word: 'unbegun', delayMs: 0 },
])('case 18: $word is no failure: one line at the level debug, none at info', (outcome) => {
  expect(logged(outcome)).toEqual([]);
  expect(logged(outcome, 'debug')).toHaveLength(1);
});
