// The one definition of plain data: what has to be plain, and what is made plain.

import { createContext, runInContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { decodeCbor, encodeCbor } from '../../src/protocol/cbor.ts';
import { DEFAULT_SCAN_LIMITS, scanCbor } from '../../src/protocol/cbor-scan.ts';
import { faultText, type Plain, readPlain, toPlain } from '../../src/protocol/plain-value.ts';

const limits = { depth: 3, nodes: 10 };

/** `#/at is a Map`, or nothing. */
function faultOf(plain: Plain): string | undefined {
  return 'fault' in plain ? faultText(plain.fault, 'it') : undefined;
}

function valueOf(plain: Plain): unknown {
  if ('fault' in plain) throw new Error(faultText(plain.fault, 'it'));
  return plain.value;
}

test.each([
  'null',
  '0',
  '"text"',
  '[]',
  '{}',
  '[1,{"a":[true,null]}]',
  '{"a":{"b":{"c":1}}}',
  '["__proto__"]',
])('%s is within the limits', (json) => {
  expect(valueOf(readPlain(JSON.parse(json), limits))).toEqual(JSON.parse(json));
});

test.each([
  ['[[[[]]]]', '#/0/0/0 is nested deeper than 3 levels'],
  ['{"a":{"b":{"c":{}}}}', '#/a/b/c is nested deeper than 3 levels'],
  ['[1,2,3,4,5,6,7,8,9,10]', 'it has more than 10 values'],
  ['{"a":1,"b":2,"c":3,"d":4,"e":5}', 'it has more than 10 values'],
  ['1e999', 'it is Infinity: a number beyond the range of a double, or none'],
  ['[-1e999]', '#/0 is -Infinity: a number beyond the range of a double, or none'],
  ['{"__proto__":1}', '#/__proto__ is a key that is not allowed'],
  ['[{"a":{"constructor":1}}]', '#/0/a/constructor is a key that is not allowed'],
  ['{"prototype":{}}', '#/prototype is a key that is not allowed'],
  ['"\\ud800"', 'it is text with half of a character (a lone surrogate)'],
  ['["a\\udc00b"]', '#/0 is text with half of a character (a lone surrogate)'],
  ['{"\\ud83d":1}', '#/%EF%BF%BD is a key with half of a character (a lone surrogate)'],
  ['{"a/b~c d":{"x":1e999}}', '#/a~1b~0c%20d/x is Infinity: a number beyond the range of a double, or none'],
])('%s: %s', (json, fault) => {
  expect(faultOf(readPlain(JSON.parse(json), limits))).toBe(fault);
});

test('a character of two surrogates is fine', () => {
  expect(faultOf(readPlain(JSON.parse('{"😀":"\\ud83d\\ude00"}')))).toBeUndefined();
});

test('200,000 levels, which JSON.parse accepts, are refused without a stack overflow', () => {
  const value: unknown = JSON.parse(`${'['.repeat(200_000)}${']'.repeat(200_000)}`);
  expect(faultOf(readPlain(value))).toMatch(
    new RegExp(`is nested deeper than ${DEFAULT_SCAN_LIMITS.depth} levels$`),
  );
});

test('it judges a JSON value as the scan judges its CBOR', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
      const clean: unknown = JSON.parse(JSON.stringify(value));
      let scanned = true;
      try {
        scanCbor(encodeCbor(clean), 0, { depth: 3, nodes: 12 });
      } catch {
        scanned = false;
      }
      expect(faultOf(readPlain(clean, { depth: 3, nodes: 12 })) === undefined).toBe(scanned);
    }),
    { numRuns: 2_000 },
  );
});

class Money {
  readonly amount = 5;
  readonly #card = 'hidden';
  tell(): string {
    return this.#card;
  }
}
class User {
  readonly name = 'Ada';
  readonly password = 'hidden';
  toJSON(): object {
    return { name: this.name };
  }
}
class Secret {
  readonly #card = 'hidden';
  tell(): string {
    return this.#card;
  }
}
const cycle: Record<string, unknown> = {};
cycle['list'] = [cycle];
const bomb = Object.defineProperty({ ok: 1 }, 'broken', {
  enumerable: true,
  get() {
    throw new Error('out of order');
  },
});
const hidden = Object.defineProperty({ seen: 1, [Symbol('s')]: 2 }, 'unseen', { value: 3 });
const elsewhere = runInContext('({ a: [1, { b: "two" }] })', createContext()) as unknown;

/** Value → what is wrong with it, at the member `at`, whether it has to be plain or is made so. */
const NEVER: Readonly<Record<string, readonly [unknown, string]>> = {
  'a Map': [new Map([['a', 1]]), 'is a Map (give Object.fromEntries(map))'],
  'a Set': [new Set([1]), 'is a Set (give Array.from(set))'],
  'a BigInt': [2n ** 70n, 'is a BigInt (give its text)'],
  'a small BigInt': [5n, 'is a BigInt (give its text)'],
  'an Error': [new TypeError('x'), 'is an Error (give its message)'],
  'a regular expression': [/x/, 'is a RegExp'],
  'a promise': [Promise.resolve(1), 'is a Promise (give what it resolves to, with await)'],
  'a function': [() => 1, 'is a function'],
  'a symbol': [Symbol('x'), 'is a symbol'],
  NaN: [Number.NaN, 'is NaN: a number beyond the range of a double, or none'],
  Infinity: [Number.POSITIVE_INFINITY, 'is Infinity: a number beyond the range of a double, or none'],
  'a typed array': [new Float64Array(2), 'is a Float64Array'],
  'an ArrayBuffer': [new ArrayBuffer(2), 'is an ArrayBuffer'],
  'a boxed text': [new String('x'), 'is a String'],
  'a WeakMap': [new WeakMap(), 'is a WeakMap'],
  'a class that hides all': [new Secret(), 'is an instance of Secret'],
  'half of an emoji': ['x\ud83d', 'is text with half of a character (a lone surrogate)'],
};

describe('case 42: what is given has to be plain already', () => {
  it.each(Object.entries(NEVER))('case 42: %s is refused by its path', (_, [value, detail]) => {
    expect(faultOf(readPlain({ in: [{ at: value }] }))).toBe(`#/in/0/at ${detail}`);
    expect(faultOf(readPlain(value))).toBe(`it ${detail}`);
  });

  it.each<[string, unknown, string]>([
    ['a Date', { at: new Date(0) }, '#/at is a Date (give its toISOString())'],
    ['a URL', { url: new URL('http://a/') }, '#/url is a URL'],
    ['an instance of a class', [new Money()], '#/0 is an instance of Money'],
    ['an instance with a toJSON', [new User()], '#/0 is an instance of User'],
    ['a cycle', cycle, '#/list/0 is a cycle: it is one of those that it stands in'],
    ['a hole', [1, , 3], '#/1 is undefined, which an array cannot hold (give null)'], // oxlint-disable-line no-sparse-arrays
    ['undefined in an array', [undefined], '#/0 is undefined, which an array cannot hold (give null)'],
    ['a getter that throws', { a: bomb }, '#/a/broken cannot be read: out of order'],
  ])('case 42: %s is refused by its path', (_, value, fault) => {
    expect(faultOf(readPlain(value))).toBe(fault);
  });

  it.each<[string, unknown, unknown]>([
    ['undefined as a member', { a: undefined }, { a: undefined }],
    ['an object without a prototype', Object.assign(Object.create(null), { a: 1 }), { a: 1 }],
    ['an object of another realm', elsewhere, { a: [1, { b: 'two' }] }],
    ['members that JSON does not show', hidden, { seen: 1 }],
    ['a proxy', new Proxy({ a: [1] }, {}), { a: [1] }],
    ['the same object twice', [hidden, hidden], [{ seen: 1 }, { seen: 1 }]],
    ['a double beyond all integers', [2 ** 60, -1e300], [2 ** 60, -1e300]],
  ])('case 42: %s is taken', (_, value, plain) => {
    expect(valueOf(readPlain(value))).toStrictEqual(plain);
  });

  it('case 42: each part is read once, so what was looked at is what is sent', () => {
    let reads = 0;
    const value = {
      get at() {
        reads += 1;
        return reads === 1 ? 1 : new Map();
      },
    };
    expect(valueOf(readPlain(value))).toEqual({ at: 1 });
  });

  it('case 42: whatever is taken comes back from CBOR as it was', () => {
    fc.assert(
      fc.property(
        fc.anything({ withBigInt: true, withDate: true, withMap: true, withSet: true }),
        (value) => {
          const plain = readPlain(value);
          if ('fault' in plain) return;
          expect(decodeCbor(encodeCbor(plain.value))).toEqual(plain.value);
        },
      ),
      { numRuns: 2_000 },
    );
  });
});

describe('case 28: what a handler hands out is made plain', () => {
  it.each(Object.entries(NEVER))('case 28: %s is refused by its path', (_, [value, detail]) => {
    expect(faultOf(toPlain({ in: [{ at: value }] }))).toBe(`#/in/0/at ${detail}`);
    expect(faultOf(toPlain(value))).toBe(`it ${detail}`);
  });

  it.each<[string, unknown, unknown]>([
    ['a Date', { at: new Date(0) }, { at: '1970-01-01T00:00:00.000Z' }],
    ['a URL', new URL('http://a/'), 'http://a/'],
    ['a class that says what it shows', [new User()], [{ name: 'Ada' }]],
    ['a class with members', [new Money()], [{ amount: 5 }]],
    ['bytes', [Buffer.from('abc')], [Buffer.from('abc')]],
    ['a BigInt that says what it shows', Object.assign([1], { toJSON: () => '1' }), '1'],
    [
      'what toJSON answers with a Date',
      { toJSON: () => ({ at: new Date(0) }) },
      { at: '1970-01-01T00:00:00.000Z' },
    ],
    ['members that JSON does not show', hidden, { seen: 1 }],
  ])('case 28: %s becomes what JSON shows', (_, value, plain) => {
    expect(valueOf(toPlain(value))).toStrictEqual(plain);
  });

  it.each<[string, unknown, string]>([
    ['an invalid Date', [new Date(Number.NaN)], '#/0 is an invalid Date'],
    [
      'a Date that RFC 3339 cannot write',
      [new Date(8.64e15)],
      '#/0 is a Date outside of the years 0 to 9999',
    ],
    ['a cycle', cycle, '#/list/0 is a cycle: it is one of those that it stands in'],
    [
      'a Map that toJSON answers with',
      { a: { toJSON: () => new Map() } },
      '#/a is a Map (give Object.fromEntries(map))',
    ],
    [
      'toJSON that throws',
      { a: { toJSON: () => (bomb as { broken?: unknown }).broken } },
      '#/a cannot be read: out of order',
    ],
    [
      'undefined in an array',
      [1, { toJSON: () => undefined }],
      '#/1 is undefined, which an array cannot hold (give null)',
    ],
    [
      'a revoked proxy',
      [revoked()],
      "#/0 cannot be read: Cannot perform 'getPrototypeOf' on a proxy that has been revoked",
    ],
  ])('case 28: %s is refused by its path', (_, value, fault) => {
    const told = faultOf(toPlain(value));
    if (fault.includes('revoked')) expect(told).toMatch(/^#\/0 cannot be read: /);
    else expect(told).toBe(fault);
  });

  it('case 28: nothing that is kept differs from what JSON shows', () => {
    fc.assert(
      fc.property(
        fc.anything({ withDate: true, withMap: true, withSet: true, withNullPrototype: true }),
        (value) => {
          const plain = toPlain(value);
          if ('fault' in plain) return;
          expect(JSON.stringify(plain.value)).toBe(JSON.stringify(value));
        },
      ),
      { numRuns: 2_000 },
    );
  });
});

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}
