import { expect, test } from 'vitest';
import { CborFault, DEFAULT_SCAN_LIMITS, scanCbor } from '../../src/protocol/cbor-scan.ts';
import { decodeCbor } from '../../src/protocol/cbor.ts';

const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex');

// The examples of RFC 8949, appendix A, that are plain.
test.each<[string, unknown]>([
  ['00', 0],
  ['17', 23],
  ['1818', 24],
  ['1903e8', 1000],
  ['1a000f4240', 1_000_000],
  ['1b000000e8d4a51000', 1_000_000_000_000],
  ['20', -1],
  ['3903e7', -1000],
  ['f90000', 0],
  ['f93e00', 1.5],
  ['fa47c35000', 100_000],
  ['fb3ff199999999999a', 1.1],
  ['f4', false],
  ['f5', true],
  ['f6', null],
  ['f7', undefined],
  ['60', ''],
  ['6449455446', 'IETF'],
  ['62c3bc', 'ü'],
  ['64f0908591', '𐅑'],
  ['80', []],
  ['83010203', [1, 2, 3]],
  ['8301820203820405', [1, [2, 3], [4, 5]]],
  ['a0', {}],
  ['a26161016162820203', { a: 1, b: [2, 3] }],
  ['9fff', []],
  ['9f018202039f0405ffff', [1, [2, 3], [4, 5]]],
  ['83018202039f0405ff', [1, [2, 3], [4, 5]]],
  ['bf61610161629f0203ffff', { a: 1, b: [2, 3] }],
  ['826161bf61626163ff', ['a', { b: 'c' }]],
])('%s is plain', (hex, value) => {
  expect(scanCbor(bytes(hex))).toBe(bytes(hex).length);
  expect(decodeCbor(bytes(hex))).toEqual(value);
});

test('a byte string is plain and comes back as bytes', () => {
  expect(Buffer.from(decodeCbor(bytes('4401020304')) as Uint8Array).toString('hex')).toBe('01020304');
});

test.each([
  ['', 'the bytes end too early at byte 0'],
  ['18', 'the bytes end too early at byte 0'],
  ['1b00', 'the bytes end too early at byte 0'],
  ['6261', 'the bytes end too early at byte 0'],
  ['7b7fffffffffffffff', 'the bytes end too early at byte 0'],
  ['8201', 'the bytes end too early at byte 2'],
  ['a16161', 'the bytes end too early at byte 3'],
  ['9f01', 'the bytes end too early at byte 2'],
  ['9affffffff', 'the bytes end too early at byte 5'],
  ['9bffffffffffffffff', 'a length beyond all bounds at byte 0'],
  ['1c', 'a reserved length at byte 0'],
  ['9e', 'a reserved length at byte 0'],
  ['1f', 'a reserved length at byte 0'],
  ['3f', 'a reserved length at byte 0'],
  ['ff', 'a simple value that is not plain at byte 0'],
  ['81ff', 'a simple value that is not plain at byte 1'],
  ['bf6161ff', 'a map key without a value at byte 3'],
  ['f0', 'a simple value that is not plain at byte 0'],
  ['f820', 'a simple value that is not plain at byte 0'],
  ['a10102', 'a map key that is not text at byte 1'],
  ['a1416101', 'a map key that is not text at byte 1'],
  ['a18001', 'a map key that is not text at byte 1'],
  ['bfa00100ff', 'a map key that is not text at byte 1'],
  ['7f61616162ff', 'a string in chunks (send it in one piece) at byte 0'],
  ['5f4101ff', 'a string in chunks (send it in one piece) at byte 0'],
])('%s is refused: %s', (hex, message) => {
  expect(() => scanCbor(bytes(hex))).toThrow(
    new CborFault(message.replace(/ at byte \d+$/, ''), Number(/\d+$/.exec(message)?.[0])),
  );
});

test.each([
  ['a date', 'c11a514b67b0'],
  ['a date in an array', '81c074323031332d30332d32315432303a30343a30305a'],
  ['a big integer', 'c249010000000000000000'],
  ['a set', 'd9010281 01'],
  ['a regular expression', 'd81b8366526567457870617860'],
  ["cbor-x's own record", 'd9dfff83196161 8161610 1'.replaceAll(' ', '')],
  ['a shared reference', 'd81c81d81d00'],
  ['the magic number of CBOR', 'd9d9f700'],
  ['a typed array', 'd8554400000000'],
])('a tag is refused: %s', (_, hex) => {
  expect(() => scanCbor(bytes(hex))).toThrow(/^a tag \(only plain values are accepted\)/);
});

test.each([
  ['NaN', 'f97e00'],
  ['NaN in four bytes', 'fa7fc00000'],
  ['NaN in eight bytes', 'fb7ff8000000000000'],
  ['Infinity', 'f97c00'],
  ['-Infinity in four bytes', 'faff800000'],
  ['Infinity in an array', '81fb7ff0000000000000'],
])('case 42: %s, which JSON does not know, is refused', (_, hex) => {
  expect(() => scanCbor(bytes(hex))).toThrow('a float that is infinite or no number');
});

test.each<[string, number]>([
  ['f97bff', 65_504],
  ['fa7f7fffff', 3.402_823_466_385_288_6e38],
  ['fb7fefffffffffffff', Number.MAX_VALUE],
])('%s is the largest of its width', (hex, value) => {
  expect(decodeCbor(bytes(hex))).toBe(value);
});

test.each([
  ['a byte that begins no character', '61ff'],
  ['half of a character', '63eda0bd'],
  ['a character that is cut', `7828${'61'.repeat(39)}c3`],
  ['a key', 'a161ff01'],
])('case 42: text that is not UTF-8 is refused, not mended: %s', (_, hex) => {
  expect(() => scanCbor(bytes(hex))).toThrow('text that is not UTF-8');
});

test('case 42: undefined in an array is refused, as a member it is none', () => {
  for (const hex of ['81f7', 'a161618201f7', '9ff7ff']) {
    expect(() => scanCbor(bytes(hex)), hex).toThrow('undefined in an array');
  }
  expect(decodeCbor(bytes('a16161f7'))).toEqual({ a: undefined });
});

test('integers are taken up to ±(2^53 − 1) and refused beyond', () => {
  expect(decodeCbor(bytes('1b001fffffffffffff'))).toBe(Number.MAX_SAFE_INTEGER);
  expect(decodeCbor(bytes('3b001ffffffffffffe'))).toBe(Number.MIN_SAFE_INTEGER);
  for (const hex of [
    '1b0020000000000000',
    '1b0020000000000001',
    '1bffffffffffffffff',
    '3b001fffffffffffff',
    '3bffffffffffffffff',
  ]) {
    expect(() => scanCbor(bytes(hex)), hex).toThrow('an integer beyond ±(2^53 − 1)');
  }
});

test('keys that reach a prototype are refused at any depth, and are harmless as values', () => {
  const text = (word: string): Buffer =>
    Buffer.concat([Buffer.from([0x60 + word.length]), Buffer.from(word)]);
  for (const word of ['__proto__', 'constructor', 'prototype']) {
    const map = Buffer.concat([bytes('a1'), text(word), bytes('00')]);
    expect(() => scanCbor(map)).toThrow('a map key that is not allowed');
    expect(() => scanCbor(Buffer.concat([bytes('8181'), map]))).toThrow('a map key that is not allowed');
    // The same key with a longer head than it needs.
    const long = Buffer.concat([
      bytes('a1'),
      Buffer.from([0x79, 0, word.length]),
      Buffer.from(word),
      bytes('00'),
    ]);
    expect(() => scanCbor(long)).toThrow('a map key that is not allowed');
    expect(decodeCbor(Buffer.concat([bytes('a16161'), text(word)]))).toEqual({ a: word });
  }
});

test('a key in an overlong form is refused: it never becomes __proto__', () => {
  // 0xC1 0x9F is "_" in a form that UTF-8 forbids; a lenient decoder would read __proto__.
  const overlong = bytes('a1 6d c19fc19f 70726f746f c19fc19f a1 61 78 01');
  expect(() => decodeCbor(overlong)).toThrow('text that is not UTF-8 at byte 1');
});

test('the depth limit counts arrays and maps alike, of both kinds', () => {
  const { depth } = DEFAULT_SCAN_LIMITS;
  for (const [open, close] of [
    ['81', ''],
    ['9f', 'ff'],
    ['a16161', ''],
    ['bf6161', 'ff'],
  ] as const) {
    const nested = (levels: number): Buffer => bytes(`${open.repeat(levels)}00${close.repeat(levels)}`);
    expect(scanCbor(nested(depth))).toBe(nested(depth).length);
    expect(() => scanCbor(nested(depth + 1))).toThrow(`nesting deeper than ${depth} levels`);
  }
});

test('a million levels are refused without a stack overflow', () => {
  expect(() => scanCbor(Buffer.alloc(1_000_000, 0x81))).toThrow('nesting deeper than');
  const unlimited = { depth: 2_000_000, nodes: 2_000_000 };
  const deep = Buffer.concat([Buffer.alloc(1_000_000, 0x81), bytes('00')]);
  expect(scanCbor(deep, 0, unlimited)).toBe(deep.length);
});

test('the limit of items counts values and keys', () => {
  const limits = { depth: 8, nodes: 5 };
  expect(scanCbor(bytes('8400010203'), 0, limits)).toBe(5);
  expect(() => scanCbor(bytes('850001020304'), 0, limits)).toThrow('more than 5 items');
  expect(scanCbor(bytes('a2 6161 00 6162 00'), 0, limits)).toBe(7);
  expect(() => scanCbor(bytes('a2 6161 00 6162 80 00'), 0, { depth: 8, nodes: 4 })).toThrow(
    'more than 4 items',
  );
  expect(() => scanCbor(bytes('9f000102030405ff'), 0, limits)).toThrow('more than 5 items');
});

test('it stops behind one item, from any start; decodeCbor wants nothing behind it', () => {
  expect(scanCbor(bytes('00 8101 00'), 1)).toBe(3);
  expect(() => decodeCbor(bytes('8101 00'))).toThrow('bytes follow the value at byte 2');
});

test('it reads a view that does not begin where its buffer does', () => {
  const whole = bytes('ffff a1695f5f70726f746f5f5f00');
  expect(() => scanCbor(new Uint8Array(whole.buffer, whole.byteOffset + 2, whole.length - 2))).toThrow(
    'a map key that is not allowed',
  );
});
