import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeCbor, decodeTrusted, encodeCbor } from '../../src/protocol/cbor.ts';
import { CborFault, FORBIDDEN_KEYS, scanCbor } from '../../src/protocol/cbor-scan.ts';

test('what is written is the plain CBOR of the standard, shortest heads for integers and lengths', () => {
  const hex = (value: unknown): string => encodeCbor(value).toString('hex');
  expect(hex([1, -1, 1000, 'a', true, null])).toBe('86012019 03e86161f5f6'.replace(' ', ''));
  expect(hex({ a: 1, b: [1.5] })).toMatch(/^a2616101616281(f93e00|fa3fc00000|fb3ff8000000000000)$/);
  expect(hex(new Uint8Array([1, 2]))).toBe('420102');
  expect(hex(undefined)).toBe('f7');
  // The same shape again and again: no records, whatever the library would like.
  expect(hex([{ a: 1 }, { a: 2 }])).toBe('82a1616101a1616102');
});

test('a plain value comes back as it was', () => {
  fc.assert(
    fc.property(plain, (value) => {
      const bytes = encodeCbor(value);
      expect(scanCbor(bytes)).toBe(bytes.length);
      expect(decodeCbor(bytes)).toEqual(value);
    }),
    { numRuns: 2_000 },
  );
});

test('random bytes are refused by name, or decode to a plain value', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), isRefusedOrPlain), { numRuns: 20_000 });
});

test('valid bytes with a few wrong ones are refused by name, or decode to a plain value', () => {
  const broken = fc
    .tuple(
      plain,
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 }),
      fc.nat(),
    )
    .map(([value, changes, cut]) => {
      const bytes = Uint8Array.from(encodeCbor(value));
      for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
      return cut % 3 === 0 ? bytes.subarray(0, cut % (bytes.length + 1)) : bytes;
    });
  fc.assert(fc.property(broken, isRefusedOrPlain), { numRuns: 10_000 });
});

test.each<[string, () => unknown]>([
  ['a function', () => ({ run() {} })],
  ['a symbol', () => [Symbol('x')]],
  ['a cycle', () => cycle()],
  [
    'a getter that throws',
    () => ({
      get x() {
        throw new Error('no');
      },
    }),
  ],
])('%s cannot be encoded, and the encoder works on', (_, make) => {
  expect(() => encodeCbor(make())).toThrow();
  expect(decodeCbor(encodeCbor({ a: [1, 'two'] }))).toEqual({ a: [1, 'two'] });
});

test.each<[string, unknown]>([
  ['a date', new Date(0)],
  ['a set', new Set([1])],
  ['a map', new Map([[1, 2]])],
  ['a regular expression', /x/],
  ['an error', new Error('x')],
  ['an integer of 70 bits', 2n ** 70n],
])('%s is encoded with a tag, which the scan refuses', (_, value) => {
  expect(() => decodeCbor(encodeCbor(value))).toThrow(CborFault);
});

test('what the decoder itself cannot read is a CborFault too', () => {
  expect(() => decodeTrusted(Buffer.from('8201', 'hex'))).toThrow(CborFault);
});

/** Any JSON value, negative zero and keys that are refused left out. */
const plain = fc
  .jsonValue({ maxDepth: 6, stringUnit: 'binary' })
  .map((value) => JSON.parse(JSON.stringify(value)) as unknown)
  .filter((value) => !/"(__proto__|constructor|prototype)":/.test(JSON.stringify(value)));

function isRefusedOrPlain(bytes: Uint8Array): void {
  let end: number;
  try {
    end = scanCbor(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(CborFault);
    return;
  }
  expect(end).toBeLessThanOrEqual(bytes.length);
  expectPlain(decodeTrusted(bytes.subarray(0, end)));
}

function expectPlain(value: unknown): void {
  if (value === null || ['undefined', 'boolean', 'number', 'string'].includes(typeof value)) return;
  if (value instanceof Uint8Array) return;
  if (Array.isArray(value)) {
    for (const item of value) expectPlain(item);
    return;
  }
  expect(typeof value).toBe('object');
  expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
  for (const [key, item] of Object.entries(value as object)) {
    expect(FORBIDDEN_KEYS.has(key)).toBe(false);
    expectPlain(item);
  }
}

function cycle(): unknown {
  const round: Record<string, unknown> = {};
  round['round'] = [round];
  return round;
}
