import { Encoder } from 'cbor-x';
import { expect, test } from 'vitest';
import { CborFault } from '../../src/protocol/cbor-scan.ts';
import { decodeContent, encodeContent, optionsOfContent, typeOfContent } from '../../src/protocol/message.ts';
import { newTaskId, timeOfTaskId } from '../../src/protocol/task-id.ts';
import { foreignMessage } from '../fixtures/foreign-message.ts';

/** Bytes of a whole message beside its content: the id with its head, and the version. */
const ENVELOPE_BYTES = 39;
const ID = '01890f3a-2b4c-7d5e-8f60-718293a4b5c6';

test('type, input and options come back, with or without options', () => {
  for (const [type, input, options] of [
    ['add', { one: 1, two: 2 }, undefined],
    ['a', undefined, undefined],
    ['t'.repeat(64), ['x'.repeat(70_000)], { timeoutMs: 5 }],
  ] as const) {
    const bytes = encodeContent(type, input, options);
    expect(bytes[0]).toBe(options ? 0x83 : 0x82);
    expect(typeOfContent(bytes)).toBe(type);
    expect(optionsOfContent(bytes)).toEqual(options ?? {});
    expect(decodeContent(bytes)).toEqual({ type, input, options: options ?? {} });
  }
});

test('any CBOR library can read it', () => {
  const bytes = encodeContent('add', { one: 1, two: -2 }, { tags: ['x'] });
  expect(new Encoder({ useRecords: false }).decode(bytes)).toEqual([
    'add',
    { one: 1, two: -2 },
    { tags: ['x'] },
  ]);
});

test.each([1, 3, 22, 23, 24, 25, 63, 64])(
  'bytes made by hand with a type of %d characters are read, and are what popfleet itself writes',
  (length) => {
    const type = 'x'.repeat(length);
    const bytes = contentOf(foreignMessage(ID, type, Buffer.from('a1616183010203', 'hex')));
    expect(typeOfContent(bytes)).toBe(type);
    expect(decodeContent(bytes)).toEqual({ type, input: { a: [1, 2, 3] }, options: {} });
    expect(encodeContent(type, { a: [1, 2, 3] }).toString('hex')).toBe(bytes.toString('hex'));
  },
);

test('options made by hand are read; options that are no map are refused', () => {
  const withOptions = (options: string): Buffer =>
    Buffer.concat([
      contentOf(foreignMessage(ID, 'add', Buffer.from('00', 'hex'), 5)),
      Buffer.from(options, 'hex'),
    ]);
  expect(decodeContent(withOptions('a1646b65657005')).options).toEqual({ keep: 5 });
  expect(optionsOfContent(withOptions('a1646b65657005'))).toEqual({ keep: 5 });
  expect(decodeContent(withOptions('f6')).options).toEqual({});
  for (const other of ['80', '05', '6161', 'f5']) {
    expect(() => decodeContent(withOptions(other)), other).toThrow('options that are no map');
  }
});

test('a content that is a view into a larger buffer is read in its own bounds', () => {
  const content = encodeContent('add', { one: 1 });
  const large = Buffer.concat([Buffer.alloc(7, 0xff), content, Buffer.alloc(9, 0xff)]);
  const view = new Uint8Array(large.buffer, large.byteOffset + 7, content.length);
  expect(typeOfContent(view)).toBe('add');
  expect(decodeContent(view).input).toEqual({ one: 1 });
});

test.each<[string, (bytes: Buffer) => Buffer]>([
  ['nothing', () => Buffer.alloc(0)],
  ['one byte', (bytes) => bytes.subarray(0, 1)],
  ['half a type', (bytes) => bytes.subarray(0, 3)],
  ['an array of one', (bytes) => changed(bytes, 0, 0x81)],
  ['an array of four', (bytes) => changed(bytes, 0, 0x84)],
  ['a map', (bytes) => changed(bytes, 0, 0xa2)],
  ['a type that is a number', (bytes) => changed(bytes, 1, 0x03)],
  ['a type that is bytes', (bytes) => changed(bytes, 1, 0x43)],
  ['an empty type', (bytes) => changed(bytes, 1, 0x60)],
  [
    'a type with a length of two bytes',
    (bytes) => Buffer.concat([changed(bytes, 1, 0x79), Buffer.alloc(80, 0x61)]),
  ],
  ['a type in capitals', (bytes) => changed(bytes, 2, 'A'.charCodeAt(0))],
  ['JSON', () => Buffer.from(JSON.stringify(['add', {}]))],
])('bytes that are no content have no type: %s', (_, change) => {
  const bytes = change(encodeContent('add', { one: 1 }));
  expect(typeOfContent(bytes)).toBeUndefined();
  expect(() => decodeContent(bytes)).toThrow('not an array [type, input, options?]');
});

test('a type of 65 characters is refused', () => {
  const typed = (length: number): Buffer =>
    contentOf(foreignMessage(ID, 'x'.repeat(length), Buffer.from([0])));
  expect(typeOfContent(typed(64))).toBeDefined();
  expect(typeOfContent(typed(65))).toBeUndefined();
});

test.each([
  ['a tag', 'c100', 'a tag'],
  ['half a map', 'a1', 'the bytes end too early'],
  ['nothing', '', 'the bytes end too early'],
  ['bytes behind it', '0000', 'bytes follow the message'],
  ['a key that reaches a prototype', 'a1695f5f70726f746f5f5f00', 'a map key that is not allowed'],
])('an input that is not plain is refused: %s', (_, hex, message) => {
  const bytes = contentOf(foreignMessage(ID, 'add', Buffer.from(hex, 'hex')));
  // The task is still known by its type: it can end with this error.
  expect(typeOfContent(bytes)).toBe('add');
  expect(() => decodeContent(bytes)).toThrow(CborFault);
  expect(() => decodeContent(bytes)).toThrow(message);
});

test('an input as deep and as large as a body may be fits into a message', () => {
  let deep: unknown = 0;
  for (let level = 0; level < 64; level += 1) deep = [deep];
  expect(decodeContent(encodeContent('add', deep)).input).toEqual(deep);
  const wide = Array.from({ length: 99_999 }, () => 0);
  expect(decodeContent(encodeContent('add', wide, { a: 1 })).input).toEqual(wide);
});

test('new ids are UUIDs of version 7 that sort by their time of birth, and tell it', () => {
  const before = Date.now();
  const ids = Array.from({ length: 1_000 }, newTaskId);
  expect(ids.toSorted()).toEqual(ids);
  expect(new Set(ids).size).toBe(1_000);
  for (const id of ids) {
    expect(timeOfTaskId(id)).toBeGreaterThanOrEqual(before);
    expect(timeOfTaskId(id)).toBeLessThanOrEqual(Date.now() + 1);
  }
  expect(ids[0]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

/** What take.lua keeps of a whole message. */
function contentOf(message: Buffer): Buffer {
  return Buffer.concat([Buffer.from([(message[0] ?? 0) - 2]), message.subarray(1 + ENVELOPE_BYTES)]);
}

function changed(bytes: Buffer, at: number, to: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = to;
  return copy;
}
