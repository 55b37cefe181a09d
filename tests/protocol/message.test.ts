import { Encoder } from 'cbor-x';
import { expect, test } from 'vitest';
import { CborFault } from '../../src/protocol/cbor-scan.ts';
import { decodeMessage, encodeMessage, readEnvelope } from '../../src/protocol/message.ts';
import { newTaskId } from '../../src/protocol/task-id.ts';
import { foreignMessage } from '../fixtures/foreign-message.ts';

const ID = '01890f3a-2b4c-7d5e-8f60-718293a4b5c6';

test('the id stands at bytes 3 to 38 whatever follows, with or without options', () => {
  for (const [type, input, options] of [
    ['add', { one: 1, two: 2 }, undefined],
    ['a', undefined, undefined],
    ['t'.repeat(64), ['x'.repeat(70_000)], { timeoutMs: 5 }],
  ] as const) {
    const bytes = encodeMessage(ID, type, input, options);
    expect([...bytes.subarray(0, 3)]).toEqual([options ? 0x85 : 0x84, 0x78, 36]);
    expect(bytes.toString('latin1', 3, 39)).toBe(ID);
    expect(bytes[39]).toBe(1);
    expect(readEnvelope(bytes)).toEqual({ id: ID, type });
    expect(decodeMessage(bytes)).toEqual({ id: ID, type, input, options: options ?? {} });
  }
});

test('empty options are left out', () => {
  expect(decodeMessage(encodeMessage(ID, 'add', 1, {}))).toMatchObject({ options: {} });
  expect(encodeMessage(ID, 'add', 1, {})[0]).toBe(0x84);
});

test('any CBOR library can read it', () => {
  const bytes = encodeMessage(ID, 'add', { one: 1, two: -2 }, { tags: ['x'] });
  expect(new Encoder({ useRecords: false }).decode(bytes)).toEqual([
    ID,
    1,
    'add',
    { one: 1, two: -2 },
    { tags: ['x'] },
  ]);
});

test.each([1, 3, 22, 23, 24, 25, 63, 64])(
  'bytes made by hand with a type of %d characters are read',
  (length) => {
    const type = 'x'.repeat(length);
    const bytes = foreignMessage(ID, type, Buffer.from('a1616183010203', 'hex'));
    expect(readEnvelope(bytes)).toEqual({ id: ID, type });
    expect(decodeMessage(bytes)).toEqual({ id: ID, type, input: { a: [1, 2, 3] }, options: {} });
    // It is what popfleet itself writes.
    expect(encodeMessage(ID, type, { a: [1, 2, 3] }).toString('hex')).toBe(bytes.toString('hex'));
  },
);

test('options made by hand are read; options that are no map are refused', () => {
  const withOptions = (options: string): Buffer =>
    Buffer.concat([foreignMessage(ID, 'add', Buffer.from('00', 'hex'), 5), Buffer.from(options, 'hex')]);
  expect(decodeMessage(withOptions('a1646b65657005')).options).toEqual({ keep: 5 });
  expect(decodeMessage(withOptions('f6')).options).toEqual({});
  for (const other of ['80', '05', '6161', 'f5']) {
    expect(() => decodeMessage(withOptions(other)), other).toThrow('options that are no map');
  }
});

test('a message that is a view into a larger buffer is read in its own bounds', () => {
  const message = encodeMessage(ID, 'add', { one: 1 });
  const large = Buffer.concat([Buffer.alloc(7, 0xff), message, Buffer.alloc(9, 0xff)]);
  const view = new Uint8Array(large.buffer, large.byteOffset + 7, message.length);
  expect(readEnvelope(view)).toEqual({ id: ID, type: 'add' });
  expect(decodeMessage(view).input).toEqual({ one: 1 });
});

test.each<[string, (bytes: Buffer) => Buffer]>([
  ['nothing', () => Buffer.alloc(0)],
  ['one byte', (bytes) => bytes.subarray(0, 1)],
  ['the id alone', (bytes) => bytes.subarray(0, 39)],
  ['no type', (bytes) => bytes.subarray(0, 40)],
  ['half a type', (bytes) => bytes.subarray(0, 42)],
  ['version 0', (bytes) => changed(bytes, 39, 0)],
  ['version 2', (bytes) => changed(bytes, 39, 2)],
  [
    'version 24',
    (bytes) => Buffer.concat([bytes.subarray(0, 39), Buffer.from([0x18, 24]), bytes.subarray(40)]),
  ],
  ['an array of two', (bytes) => changed(bytes, 0, 0x82)],
  ['an array of six', (bytes) => changed(bytes, 0, 0x86)],
  ['a map', (bytes) => changed(bytes, 0, 0xa2)],
  ['an id of 35 characters', (bytes) => changed(bytes, 2, 35)],
  ['an id in capitals', (bytes) => changed(bytes, 10, 'A'.charCodeAt(0))],
  ['an id without a hyphen', (bytes) => changed(bytes, 11, '0'.charCodeAt(0))],
  ['an id as bytes', (bytes) => changed(bytes, 1, 0x58)],
  ['a type that is a number', (bytes) => changed(bytes, 40, 0x03)],
  ['a type that is bytes', (bytes) => changed(bytes, 40, 0x43)],
  ['an empty type', (bytes) => changed(bytes, 40, 0x60)],
  [
    'a type with a length of two bytes',
    (bytes) => Buffer.concat([changed(bytes, 40, 0x79), Buffer.alloc(80, 0x61)]),
  ],
  ['a type in capitals', (bytes) => changed(bytes, 41, 'A'.charCodeAt(0))],
  ['JSON', () => Buffer.from(JSON.stringify([ID, 1, 'add', {}]))],
])('bytes that are no message have no envelope: %s', (_, change) => {
  const bytes = change(encodeMessage(ID, 'add', { one: 1 }));
  expect(readEnvelope(bytes)).toBeUndefined();
  expect(() => decodeMessage(bytes)).toThrow('not an array [id, 1, type, input, options?]');
});

test('a type of 65 characters is refused', () => {
  expect(readEnvelope(foreignMessage(ID, 'x'.repeat(64), Buffer.from([0])))).toBeDefined();
  expect(readEnvelope(foreignMessage(ID, 'x'.repeat(65), Buffer.from([0])))).toBeUndefined();
});

test.each([
  ['a tag', 'c100', 'a tag'],
  ['half a map', 'a1', 'the bytes end too early'],
  ['nothing', '', 'the bytes end too early'],
  ['bytes behind it', '0000', 'bytes follow the message'],
  ['a key that reaches a prototype', 'a1695f5f70726f746f5f5f00', 'a map key that is not allowed'],
])('an input that is not plain is refused: %s', (_, hex, message) => {
  const bytes = foreignMessage(ID, 'add', Buffer.from(hex, 'hex'));
  // The task is still known by its id and type: it can end with this error.
  expect(readEnvelope(bytes)).toEqual({ id: ID, type: 'add' });
  expect(() => decodeMessage(bytes)).toThrow(CborFault);
  expect(() => decodeMessage(bytes)).toThrow(message);
});

test('an input as deep and as large as a body may be fits into a message', () => {
  let deep: unknown = 0;
  for (let level = 0; level < 64; level += 1) deep = [deep];
  expect(decodeMessage(encodeMessage(ID, 'add', deep)).input).toEqual(deep);
  const wide = Array.from({ length: 99_999 }, () => 0);
  expect(decodeMessage(encodeMessage(ID, 'add', wide, { a: 1 })).input).toEqual(wide);
});

test('new ids are UUIDs of version 7 that sort by their time of birth and fit into a message', () => {
  const ids = Array.from({ length: 1_000 }, newTaskId);
  expect(ids.toSorted()).toEqual(ids);
  expect(new Set(ids).size).toBe(1_000);
  for (const id of ids) expect(readEnvelope(encodeMessage(id, 'add', 0))?.id).toBe(id);
  expect(ids[0]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

function changed(bytes: Buffer, at: number, to: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = to;
  return copy;
}
