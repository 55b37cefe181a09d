import { expect, test } from 'vitest';
import { isLoopback } from '../../src/server/auth/loopback.ts';

test.each(['localhost', '127.0.0.1', '127.255.255.255', '::1', '[::1]'])(
  'only this machine reaches %s',
  (name) => {
    expect(isLoopback(name)).toBe(true);
  },
);

test.each([
  '',
  '127.0.0.256',
  '127.0.0.1.example.org',
  'localhost.example.org',
  '128.0.0.1',
  '0.0.0.0',
  '::',
  '[::]',
  '::2',
  '[::1',
  '127.1',
])('%j may be reached by others', (name) => {
  expect(isLoopback(name)).toBe(false);
});
