// What a reference of a step names in the result of another: a JSON Pointer (RFC 6901), and nothing that is not there.

import { expect, test } from 'vitest';
import { ReferenceFault, resolveReferences } from '../../src/protocol/references.ts';

const RESULT = { list: [1, 2, 3], text: 'abc', bytes: new Uint8Array([7]), 'a/b~c': 5, '': 0 };

function named(path?: string): unknown {
  return resolveReferences({ $from: 'a', ...(path === undefined ? {} : { path }) }, () => RESULT);
}

test.each([
  [undefined, RESULT],
  ['', RESULT],
  ['/list', [1, 2, 3]],
  ['/list/0', 1],
  ['/list/2', 3],
  ['/a~1b~0c', 5],
  ['/', 0],
])('%s is there', (path, value) => {
  expect(named(path)).toEqual(value);
});

test.each([
  '/list/3',
  '/list/length',
  '/list/-',
  '/list/01',
  '/list/',
  '/text/0',
  '/text/length',
  '/bytes/0',
  '/bytes/length',
  '/toString',
])('%s is not there', (path) => {
  expect(() => named(path)).toThrow(ReferenceFault);
});
