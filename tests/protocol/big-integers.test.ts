// Integers in JSON text that a number of JavaScript cannot hold.

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { findBigInteger } from '../../src/protocol/big-integers.ts';
import { readPlain } from '../../src/protocol/plain-value.ts';

it.each<[string, string]>([
  ['9007199254740992', '#'],
  ['[1,-9007199254740993]', '#/1'],
  ['{"a":{"id":1198765432109876543}}', '#/a/id'],
  ['[[],{"x":[0,{}]},[{"a/b~\\"c":[9007199254740993]}]]', '#/2/0/a~1b~0%22c/0'],
  ['{"a":"\\\\","b":["]}",1,"{[,"],"c":10000000000000000000000}', '#/c'],
  [' { "a" : [ "1" , 9007199254740992 ] } ', '#/a/1'],
])('case 44: an integer beyond 2^53 in %s is found at %s', (json, pointer) => {
  JSON.parse(json);
  expect(findBigInteger(json)).toBe(pointer);
});

it.each([
  '9007199254740991',
  '[-9007199254740991,"9007199254740993",{"9007199254740993":1}]',
  '[1e300,9007199254740993.5,9007199254740993E0,-0,1e400]',
  '"\\\\"',
])('case 44: %s has none', (json) => {
  expect(findBigInteger(json)).toBeUndefined();
});

it('case 44: it is asked whenever an integer is not what was written', () => {
  const integer = fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n });
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      integer.map(String),
      fc.string().map((text) => JSON.stringify(text)),
      fc.array(tie('tree'), { maxLength: 4 }).map((items) => `[${items.join()}]`),
      fc.dictionary(fc.string({ maxLength: 3 }), tie('tree'), { maxKeys: 4 }).map(
        (members) =>
          `{${Object.entries(members)
            .map(([key, value]) => `${JSON.stringify(key)}:${String(value)}`)
            .join()}}`,
      ),
    ),
  }));
  fc.assert(
    fc.property(tree, (json) => {
      const text = String(json);
      const plain = readPlain(JSON.parse(text));
      if ('fault' in plain) return;
      const isExact = JSON.stringify(plain.value) === JSON.stringify(JSON.parse(text.replaceAll(/ /g, ' ')));
      expect(isExact).toBe(true);
      const numbers = text.replaceAll(/"(?:[^"\\]|\\.)*"/g, '').match(/-?\d+/g) ?? [];
      const hasBig = numbers.some((number) => !Number.isSafeInteger(Number(number)));
      expect(plain.hasLarge).toBe(hasBig);
      expect(findBigInteger(text) !== undefined).toBe(hasBig);
    }),
    { numRuns: 2_000 },
  );
});
