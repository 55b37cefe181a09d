import { createParser } from 'eventsource-parser';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { createEventStreamReader, type ServerEvent } from '../../src/client/event-stream.ts';

const line = fc.constantFrom(
  'data: one',
  'data:two',
  'data',
  'event: state',
  'id: a@1-0',
  ': ',
  'retry: 2000',
  '',
);
const stream = fc
  .array(line, { maxLength: 30 })
  .chain((lines) => fc.constantFrom('\n', '\r\n').map((end) => lines.map((one) => `${one}${end}`).join('')));

test('events are those that another reader of the format finds, wherever the text is cut', () => {
  fc.assert(
    fc.property(stream, fc.array(fc.nat(200), { maxLength: 6 }), (text, cuts) => {
      const expected: ServerEvent[] = [];
      const parser = createParser({
        onEvent: ({ event = 'message', data }) => expected.push({ name: event, data }),
      });
      parser.feed(text);
      const reader = createEventStreamReader();
      const places = [0, ...cuts.filter((cut) => cut < text.length).toSorted((a, b) => a - b), text.length];
      const events = places.flatMap((from, at) => reader.read(text.slice(from, places[at + 1] ?? from)));
      expect(events).toEqual(expected);
    }),
  );
});

test('the id of a block counts once the block is whole, also without data', () => {
  const reader = createEventStreamReader('before');
  reader.read('id: a@1\nevent: state\ndata: {}\n');
  expect(reader.lastId()).toBe('before');
  reader.read('\n');
  expect(reader.lastId()).toBe('a@1');
  reader.read(': \nid: a@2\n\n');
  expect(reader.lastId()).toBe('a@2');
});
