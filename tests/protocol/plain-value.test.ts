import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeCbor } from '../../src/protocol/cbor.ts';
import { DEFAULT_SCAN_LIMITS, scanCbor } from '../../src/protocol/cbor-scan.ts';
import { faultOfPlainValue } from '../../src/protocol/plain-value.ts';

const limits = { depth: 3, nodes: 10 };

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
  expect(faultOfPlainValue(JSON.parse(json), limits)).toBeUndefined();
});

test.each([
  ['[[[[]]]]', 'nesting deeper than 3 levels'],
  ['{"a":{"b":{"c":{}}}}', 'nesting deeper than 3 levels'],
  ['[1,2,3,4,5,6,7,8,9,10]', 'more than 10 values'],
  ['{"a":1,"b":2,"c":3,"d":4,"e":5}', 'more than 10 values'],
  ['1e999', 'a number beyond the range of a double'],
  ['[-1e999]', 'a number beyond the range of a double'],
  ['{"__proto__":1}', 'a key that is not allowed (__proto__)'],
  ['[{"a":{"constructor":1}}]', 'a key that is not allowed (constructor)'],
  ['{"prototype":{}}', 'a key that is not allowed (prototype)'],
  ['"\\ud800"', 'text with half of a character (a lone surrogate)'],
  ['["a\\udc00b"]', 'text with half of a character (a lone surrogate)'],
  ['{"\\ud83d":1}', 'text with half of a character (a lone surrogate)'],
])('%s: %s', (json, fault) => {
  expect(faultOfPlainValue(JSON.parse(json), limits)).toBe(fault);
});

test('a character of two surrogates is fine', () => {
  expect(faultOfPlainValue(JSON.parse('{"😀":"\\ud83d\\ude00"}'))).toBeUndefined();
});

test('200,000 levels, which JSON.parse accepts, are refused without a stack overflow', () => {
  const value: unknown = JSON.parse(`${'['.repeat(200_000)}${']'.repeat(200_000)}`);
  expect(faultOfPlainValue(value)).toBe(`nesting deeper than ${DEFAULT_SCAN_LIMITS.depth} levels`);
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
      expect(faultOfPlainValue(clean, { depth: 3, nodes: 12 }) === undefined).toBe(scanned);
    }),
    { numRuns: 2_000 },
  );
});
