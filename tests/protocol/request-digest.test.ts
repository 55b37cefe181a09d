import fc from 'fast-check';
import { expect, test } from 'vitest';
import { requestDigest } from '../../src/protocol/request-digest.ts';

test('it is 32 hexadecimal digits, and stays the same from release to release: keys live on over a deploy', () => {
  expect(requestDigest({ type: 'add', input: { one: 1, two: 2 } })).toBe('713b89f34d44fd732a2dd93aad5b0342');
});

test('the order of keys does not matter, at any depth', () => {
  expect(requestDigest({ a: 1, b: { c: [{ d: 1, e: 2 }], f: null } })).toBe(
    requestDigest({ b: { f: null, c: [{ e: 2, d: 1 }] }, a: 1 }),
  );
});

test('a field that is undefined is none', () => {
  expect(requestDigest({ a: 1, b: undefined })).toBe(requestDigest({ a: 1 }));
});

test.each<[string, unknown, unknown]>([
  ['another value', { a: 1 }, { a: 2 }],
  ['another key', { a: 1 }, { b: 1 }],
  ['one more key', { a: 1 }, { a: 1, b: null }],
  ['the order of a list', [1, 2], [2, 1]],
  ['text instead of a number', { a: 1 }, { a: '1' }],
  ['null instead of nothing', {}, { a: null }],
  ['null instead of false', [null], [false]],
  ['values that change places', { a: 1, b: 2 }, { a: 2, b: 1 }],
  ['a list instead of a map', { 0: 'a' }, ['a']],
  ['bytes instead of text', new Uint8Array([97]), 'a'],
  ['other bytes', new Uint8Array([1, 2]), new Uint8Array([1, 3])],
  ['nesting', [[1], 2], [[1, 2]]],
])('%s is another request', (_, one, other) => {
  expect(requestDigest(one)).not.toBe(requestDigest(other));
});

/** The same value with the keys of every map the other way round. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([key, child]) => [key, reversed(child)]),
  );
}

test('whatever JSON carries: the same request in another order has the same digest', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(requestDigest(reversed(value))).toBe(requestDigest(value));
      expect(requestDigest(JSON.parse(JSON.stringify(value)))).toBe(requestDigest(value));
    }),
  );
});

test('whatever JSON carries: different requests have different digests', () => {
  const canonical = (value: unknown): string =>
    JSON.stringify(value, (_, child: unknown) =>
      typeof child === 'object' && child !== null && !Array.isArray(child)
        ? Object.fromEntries(Object.entries(child).toSorted(([one], [other]) => (one < other ? -1 : 1)))
        : child,
    );
  fc.assert(
    fc.property(fc.jsonValue(), fc.jsonValue(), (one, other) => {
      expect(requestDigest(one) === requestDigest(other)).toBe(canonical(one) === canonical(other));
    }),
  );
});
