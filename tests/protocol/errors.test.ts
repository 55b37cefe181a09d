// What a program prints of an error that it did not catch.

import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { ApiError } from '../../src/client/api-error.ts';
import { PopfleetError } from '../../src/protocol/errors.ts';

test.each([
  ['the library', new PopfleetError('timed-out', 'it goes on')],
  ['the client', new ApiError('it goes on', { status: 503, code: 'overloaded' })],
])('an error of %s is printed without what it has not', (_, error) => {
  expect(inspect(error)).toContain(`code: '${error.code}'`);
  expect(inspect(error)).not.toContain('undefined');
});

test('each says what it has', () => {
  const details = { faults: [], retryAfterSeconds: 2, extensions: { accepted: 1 }, cause: new Error('why') };
  expect(new PopfleetError('overloaded', 'later', details)).toMatchObject(details);
  const parts = {
    status: 503,
    code: 'overloaded',
    requestId: 'a',
    retryAfterMs: 2_000,
    cause: details.cause,
  };
  expect(new ApiError('later', parts)).toMatchObject(parts);
});
