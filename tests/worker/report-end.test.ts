// What the log says of runs that have not succeeded.

import { expect, test } from 'vitest';
import { createLog } from '../../src/log.ts';
import type { TaskError } from '../../src/protocol/task-error.ts';
import { type EndedRun, reportEnd, type Verdict } from '../../src/worker/report-end.ts';

const error: TaskError = {
  name: 'TypeError',
  message: 'could not save',
  code: '23505',
  stack: 'TypeError: could not save\n    at run (task.mjs:1:1)',
  cause: { name: 'Error', message: 'redis://a:canary@b', stack: 'Error: redis://a:canary@b' },
  fingerprint: '0123456789abcdef',
};
const run: EndedRun = {
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
  maxAttempts: 5,
};

function logged(verdict: Verdict | undefined, level = 'info'): Record<string, unknown>[] {
  const lines: Record<string, unknown>[] = [];
  const write = (line: string): void => void lines.push(JSON.parse(line) as Record<string, unknown>);
  reportEnd(createLog(level, {}, { write }), run, verdict);
  return lines;
}

const WHY = {
  name: 'TypeError',
  message: 'could not save',
  code: '23505',
  cause: { name: 'Error', message: 'redis://a:***@b' },
};

test.each<[string, Verdict | undefined, Record<string, unknown>]>([
  [
    'an attempt that is retried',
    { word: 'retry', error, delayMs: 300 },
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
    { word: 'dead', error },
    { level: 50, msg: 'an attempt failed, the task is dead', attempt: 2, maxAttempts: 5, error: WHY },
  ],
  ['a process that is lost', { word: 'crashed', error }, { level: 40, crashes: 2, error: WHY }],
  ['a task that was lost', undefined, { level: 40, claim: 7 }],
])('case 18: the log says of %s which task it is, and why', (_, verdict, wanted) => {
  const lines = logged(verdict);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatchObject({ task: run.task.id, queue: 'mail', type: 'known', ...wanted });
  if (verdict) expect(lines[0]?.['error']).toEqual(WHY);
});

test('case 18: stacks are logged at the level debug', () => {
  const [line] = logged({ word: 'dead', error }, 'debug');
  expect(line).toMatchObject({ error: { ...WHY, stack: error.stack } });
  expect(JSON.stringify(line)).not.toContain('canary');
});

test.each<Verdict>([
  { word: 'postponed', error, delayMs: 9 },
  { word: 'cancelled', error },
  { word: 'released' },
])('case 18: $word is no failure: one line at the level debug, none at info', (verdict) => {
  expect(logged(verdict)).toEqual([]);
  expect(logged(verdict, 'debug')).toHaveLength(1);
});
