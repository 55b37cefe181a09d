// Log lines as a person reads them at a terminal.

import { expect, test } from 'vitest';
import { createLog } from '../src/log.ts';
import { createPrettyStream, prettyLine } from '../src/pretty-log.ts';

function logged(write: (log: ReturnType<typeof createLog>) => void, colors = false): string {
  let text = '';
  const destination = { write: (line: string) => void (text += line) };
  write(createLog('debug', { role: 'worker' }, createPrettyStream(destination, colors)));
  return text;
}

test('case 18: time, level, message and fields on one line, the error below it', () => {
  const error = {
    name: 'TypeError',
    message: 'could not save',
    code: '23505',
    stack: 'TypeError: could not save\n    at run (file:///tasks.mjs:1:1)',
    cause: { name: 'Error', message: 'connect ECONNREFUSED', code: 'ECONNREFUSED' },
    errors: [
      { name: 'Error', message: 'one', at: 'save (tasks.ts:2:3)' },
      { name: 'Error', message: 'other' },
    ],
  };
  const text = logged((log) =>
    log.warn({ task: 'an id', attempt: 1, maxAttempts: 3, error }, 'an attempt failed'),
  );
  expect(text).toMatch(
    /^\d\d:\d\d:\d\d\.\d{3} WARN {2}an attempt failed task=an id attempt=1 maxAttempts=3\n/,
  );
  expect(text.split('\n').slice(1)).toEqual([
    '    TypeError: could not save (23505)',
    '      at run (file:///tasks.mjs:1:1)',
    '    - Error: one',
    '      at save (tasks.ts:2:3)',
    '    - Error: other',
    '    caused by Error: connect ECONNREFUSED',
    '',
  ]);
});

test('case 18: an error of the program itself has its causes too', () => {
  const err = new Error('cannot start', { cause: new RangeError('why') });
  const text = logged((log) => log.fatal({ err }, 'stopping'));
  expect(text).toContain('FATAL stopping\n    Error: cannot start\n      at ');
  expect(text).toContain('    caused by RangeError: why\n');
});

test('case 18: colors only where they are wanted', () => {
  const say = (log: ReturnType<typeof createLog>): void => log.info({ task: 'x' }, 'hello');
  expect(logged(say, true)).toContain('\u001B[32mINFO \u001B[0m hello \u001B[2mtask=x\u001B[0m');
  expect(logged(say, false)).not.toContain('\u001B');
});

test('case 18: a text of a handler cannot move the cursor, nor look like a line of the log', () => {
  const hostile = 'red \u001B[31m\r\n12:00:00.000 INFO  all is well\u0007\u009B2J';
  const text = logged((log) =>
    log.info({ type: hostile, error: { name: hostile, message: hostile } }, hostile),
  );
  expect(text.split('\n')).toHaveLength(3);
  expect(text.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
  expect(text).toContain('red  ↵ 12:00:00.000 INFO  all is well');
});

test.each(['no JSON\n', '\n'])('what is no line of pino stays as it is: %j', (line) => {
  expect(prettyLine(line, true)).toBe(line);
});
