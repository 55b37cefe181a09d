// Counting JSON before it is parsed: agrees with `JSON.parse` about where values end, and with `readPlain` about limits.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { JsonFault, scanJson, skipJsonSpace, withoutByteOrderMark } from '../../src/protocol/json-scan.ts';
import { readPlain } from '../../src/protocol/plain-value.ts';

const bytesOf = (text: string): Buffer => Buffer.from(text);

/** The words of the fault, or the end. */
function scan(text: string, limits?: Parameters<typeof scanJson>[2]): string | number {
  try {
    return scanJson(bytesOf(text), skipJsonSpace(bytesOf(text), 0), limits);
  } catch (error) {
    if (!(error instanceof JsonFault)) throw error;
    return error.message;
  }
}

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

const LETTERS = Array.from('[]{},:"\\ \n019.eE-+truefalsn\u00e9\u{1f600}');
/** Text that nearly is JSON. */
const nearly = fc.string({
  unit: fc.constantFrom(...LETTERS, '\\u0041', '"a"', '{"', '":'),
  maxLength: 40,
});
const SPACES = fc.stringMatching(/^[ \t\r\n]{0,3}$/);

describe('case 21: scanJson', () => {
  test('finds the end of every JSON value, whatever follows', () => {
    fc.assert(
      fc.property(
        fc.json({ maxDepth: 6 }),
        SPACES,
        fc.constantFrom('', ',', ']', '}', ' ', ', "x"'),
        (text, space, rest) => {
          // A number goes on as long as it can.
          expect(scanJson(bytesOf(text + space + rest))).toBe(bytesOf(text).length);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  test('cuts an array into items exactly where JSON.parse does, and never makes a text valid that is not', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          nearly,
          fc.array(fc.json()).map((items) => `[${items.join(' , ')}]`),
        ),
        (text) => {
          const items = itemsOf(text);
          const isArray = parses(text) && Array.isArray(JSON.parse(text));
          expect(items !== undefined && items.every(parses)).toBe(isArray);
          if (isArray) expect(items?.map((item) => JSON.parse(item) as unknown)).toEqual(JSON.parse(text));
        },
      ),
      { numRuns: 5_000 },
    );
  });

  test('judges depth and number of values as the walk over the parsed value does', () => {
    fc.assert(
      fc.property(
        fc.json({ maxDepth: 8 }).filter((text) => !/"(?:__proto__|constructor|prototype)"|\\ud/i.test(text)),
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 30 }),
        (text, depth, nodes) => {
          // Which of two limits is met first depends on the order of the walk.
          for (const limits of [
            { depth, nodes: 1_000_000 },
            { depth: 1_000, nodes },
          ]) {
            const plain = readPlain(JSON.parse(text), limits);
            expect(scan(text, limits)).toBe('fault' in plain ? plain.fault.detail : bytesOf(text).length);
          }
        },
      ),
      { numRuns: 2_000 },
    );
  });

  test.each([
    ['[[]', 3],
    ['"a', 2],
    ['"a\\', 3],
    ['"a\\"', 4],
    ['"\\\\"x', 4],
    ['{"a":"]}"}x', 10],
    ['tru"e"', 3],
    ['1,2', 1],
    [',', 0],
    [']', 0],
    ['', 0],
    ['[}', 2],
  ])('%j ends at %d', (text, end) => {
    expect(scan(text)).toBe(end);
  });

  test('says which limit is exceeded', () => {
    expect(scan('['.repeat(65))).toBe('is nested deeper than 64 levels');
    expect(scan('['.repeat(64) + ']'.repeat(64))).toBe(128);
    expect(scan(`[${'0,'.repeat(99_998)}0]`)).toBe(200_000 - 1);
    expect(scan(`[${'0,'.repeat(99_999)}0]`)).toBe('has more than 100000 values');
    expect(scan(`{${'"":0,'.repeat(50_000)}`)).toBe('has more than 100000 values');
  });

  test('a byte order mark is none of the text', () => {
    expect(withoutByteOrderMark(bytesOf('\ufeff{}')).toString()).toBe('{}');
    expect(withoutByteOrderMark(bytesOf('\ufefe'))).toHaveLength(3);
    expect(withoutByteOrderMark(bytesOf('{'))).toHaveLength(1);
  });
});

/** The items of an array, cut by the scan as the reader of batches does. `undefined` = it is no array. */
function itemsOf(text: string): string[] | undefined {
  const bytes = bytesOf(text);
  const items: string[] = [];
  let at = skipJsonSpace(bytes, 0);
  if (bytes[at] !== 0x5b) return undefined;
  at = skipJsonSpace(bytes, at + 1);
  const isEmpty = bytes[at] === 0x5d;
  while (!isEmpty) {
    const end = scanJson(bytes, at);
    items.push(bytes.subarray(at, end).toString());
    at = skipJsonSpace(bytes, end);
    if (bytes[at] !== 0x2c) break;
    at = skipJsonSpace(bytes, at + 1);
  }
  return bytes[at] === 0x5d && skipJsonSpace(bytes, at + 1) === bytes.length ? items : undefined;
}
