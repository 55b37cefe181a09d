// What the log leaves out, whoever writes it.

import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { createLog, maskPasswords } from '../src/log.ts';

function logged(write: (log: ReturnType<typeof createLog>) => void): string {
  let text = '';
  write(createLog('info', {}, { write: (line) => void (text += line) }));
  return text;
}

test.each([
  [{ headers: { authorization: 'Bearer canary', cookie: 'popfleet=canary', 'set-cookie': 'canary' } }],
  [{ req: { headers: { authorization: 'Bearer canary', cookie: 'canary' } } }],
])('keys and cookies in %j', (fields) => {
  const text = logged((log) => log.info(fields, 'a request'));
  expect(text).toContain('authorization');
  expect(text).not.toContain('canary');
});

test('the password of an address, in the message and in the stack of an error', () => {
  const err = new Error('cannot reach redis://user:canary@example.org:6379/1');
  const text = logged((log) => log.error({ err }, 'failed'));
  expect(text).toContain('redis://user:***@example.org:6379/1');
  expect(text).not.toContain('canary');
});

test('case 41: an error says why, also one of another realm, and hides its passwords there too', () => {
  const cause = Object.assign(new Error('WRONGPASS at redis://user:canary@host'), {
    code: 'WRONGPASS',
    command: 'canary',
  });
  const err: unknown = runInNewContext("(cause) => new TypeError('cannot start', { cause })")(cause);
  const text = logged((log) => log.error({ err }, 'failed'));
  expect(JSON.parse(text)).toMatchObject({
    err: {
      type: 'TypeError',
      message: 'cannot start',
      cause: { message: 'WRONGPASS at redis://user:***@host', code: 'WRONGPASS' },
    },
  });
  expect(text).not.toContain('canary');
});

test.each([
  ['rediss://:canary@host', 'rediss://:***@host'],
  ['at redis://a:canary@b and redis://c:canary@d.', 'at redis://a:***@b and redis://c:***@d.'],
  ['redis://host:6379', 'redis://host:6379'],
  ['http://[::1]:3000/a@b', 'http://[::1]:3000/a@b'],
  ['a:b@c', 'a:b@c'],
])('%s', (text, masked) => {
  expect(maskPasswords(text)).toBe(masked);
});
