import { expect, test } from 'vitest';
import { fingerprintOf } from '../../src/protocol/fingerprint.ts';
import { toTaskError } from '../../src/protocol/task-error.ts';
import { expectBelow, msOf } from '../support/expect-below.ts';

const STACK = [
  'Error: no such user',
  '    at findUser (file:///app/users.mjs:10:5)',
  '    at run (file:///app/tasks/mail.mjs:33:12)',
  '    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)',
  '    at call (/app/node_modules/lib/index.js:3:1)',
].join('\n');

function print(message: string, stack = STACK, name = 'Error', type = 'mail'): string {
  return fingerprintOf(type, { name, message, stack });
}

test('it is sixteen hexadecimal digits, and stays the same from release to release', () => {
  expect(print('no such user')).toMatch(/^[0-9a-f]{16}$/);
  expect(fingerprintOf('mail', { name: 'Error', message: 'no such user' })).toBe('3249983a1a855b1b');
});

test.each([
  ['numbers from four digits on', 'order 10442 is gone', 'order 99001 is gone'],
  [
    'UUIDs',
    'task 01a20865-910d-7331-b0a2-dfdfd25ce6e8 hangs',
    'task 11111111-2222-3333-4444-555555555555 hangs',
  ],
  ['URLs', 'GET https://api.example.org/v1/users/7?x=1 failed', 'GET http://10.0.0.1:8080/ failed'],
  ['addresses', 'no mailbox ada@example.org', 'no mailbox grace.hopper+x@navy.mil'],
  ['times', 'late since 2026-11-23T10:00:00Z', 'late since 2027-01-02 03:04:05.678+01:00'],
  ['paths', "ENOENT: no such file, open '/var/spool/a.txt'", "ENOENT: no such file, open '/tmp/x/y/b.csv'"],
  ['digests', 'checksum deadbeefcafe differs', 'checksum 0x1234567890abcdef differs'],
  [
    'long quoted text',
    'cannot parse "a text that goes on and on"',
    'cannot parse "quite another one, also long"',
  ],
])('%s in a message do not matter', (_, one, other) => {
  expect(print(one)).toBe(print(other));
});

test.each<[string, string, string]>([
  ['the message', print('no such user'), print('no such group')],
  ['a small number: it may be a code', print('exit code 1'), print('exit code 2')],
  ['a short quoted word: it may be a name', print('no field "name"'), print('no field "mail"')],
  ['the name of the error', print('m', STACK, 'TypeError'), print('m', STACK, 'RangeError')],
  ['the type of the task', print('m', STACK, 'Error', 'mail'), print('m', STACK, 'Error', 'video')],
  ['the place', print('m'), print('m', STACK.replace('findUser', 'findGroup'))],
])('%s does matter', (_, one, other) => {
  expect(one).not.toBe(other);
});

test.each<[string, unknown, unknown]>([
  [
    'objects with another code',
    { code: 'card_declined', message: 'no' },
    { code: 'card_expired', message: 'no' },
  ],
  ['objects without a message', { error: 'invalid_grant' }, { error: 'invalid_client' }],
  ['other causes', withoutStack('a', new Error('timeout')), withoutStack('a', new Error('refused'))],
  ['a cause and none', withoutStack('a', new Error('timeout')), withoutStack('a')],
  [
    'other errors of an AggregateError',
    new AggregateError([new Error('a')], 'm'),
    new AggregateError([new Error('b')], 'm'),
  ],
  ['an empty text and nothing', '', undefined],
])('case 41: %s are other failures', (_, one, other) => {
  const of = (thrown: unknown): string => fingerprintOf('mail', { ...toTaskError(thrown), stack: '' });
  expect(of(one)).not.toBe(of(other));
});

test('case 41: the same cause with other values is the same failure', () => {
  const of = (id: number): string =>
    fingerprintOf('mail', toTaskError(withoutStack('could not save', new Error(`duplicate key ${id}`))));
  expect(of(471_112)).toBe(of(900_000));
  const object = (id: number): string => fingerprintOf('mail', toTaskError({ code: 'gone', id }));
  expect(object(471_112)).toBe(object(900_000));
});

function withoutStack(message: string, cause?: Error): Error {
  const error = new Error(message, cause && { cause });
  delete error.stack;
  return error;
}

test('line numbers move with every edit and do not matter, nor do frames that are not the handler’s own', () => {
  expect(print('m', STACK.replace(':10:5', ':99:1').replace(':33:12', ':34:2'))).toBe(print('m'));
  expect(print('m', STACK.replace('node:internal/process', 'node:internal/other'))).toBe(print('m'));
  expect(print('m', STACK.replace('node_modules/lib', 'node_modules/other'))).toBe(print('m'));
});

test('only the first three frames of the handler count', () => {
  const deep = (last: string): string =>
    ['Error: m', '    at a (f:1:1)', '    at b (f:2:1)', '    at c (f:3:1)', `    at ${last} (f:4:1)`].join(
      '\n',
    );
  expect(print('m', deep('one'))).toBe(print('m', deep('other')));
  expect(print('m', deep('one').replace('at c', 'at C'))).not.toBe(print('m', deep('one')));
});

test('the same failure of a real handler, with other values, is the same failure', () => {
  const fail = (id: number): Error => {
    try {
      throw new RangeError(`no order ${id}`);
    } catch (error) {
      return error as Error;
    }
  };
  const [one, other] = [100_001, 987_654].map((id) => fingerprintOf('mail', toTaskError(fail(id))));
  expect(one).toBe(other);
});

test('hostile messages are measured in no time', async () => {
  const parts = ['a@', '/a', '"', "'", '-', '0', '2026-01-01T', 'x:', 'http://', '. ', 'a.b-', 'dead-beef-'];
  await expectBelow(1_000, () =>
    msOf(() => {
      for (const part of parts) print(part.repeat(100_000));
    }),
  );
});
