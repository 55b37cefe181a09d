// Streams of events as the client reads them, whole, in pieces, and over breaks.

import { createParser } from 'eventsource-parser';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { createEventStreamReader, type ServerEvent } from '../../src/client/event-stream.ts';
import type { FollowOptions } from '../../src/client/fleet-events.ts';
import { Popfleet } from '../../src/client/popfleet.ts';
import { eventually } from '../support/eventually.ts';
import { withServer } from '../support/with-server.ts';

const server = withServer();

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
      const expected: Omit<ServerEvent, 'lastEventId'>[] = [];
      const parser = createParser({
        onEvent: ({ event = 'message', data }) => expected.push({ name: event, data }),
      });
      parser.feed(text);
      const reader = createEventStreamReader();
      const places = [0, ...cuts.filter((cut) => cut < text.length).toSorted((a, b) => a - b), text.length];
      const events = places.flatMap((from, at) => reader.read(text.slice(from, places[at + 1] ?? from)));
      expect(events.map(({ name, data }) => ({ name, data }))).toEqual(expected);
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
  const events = reader.read('data: 1\n\ndata: 2\nid: a@3\n\n');
  expect(events.map(({ lastEventId }) => lastEventId)).toEqual(['a@2', 'a@3']);
});

/** A client whose first stream of events breaks once its reader has what comes up to the end of this. */
function brokenBehind(pattern: RegExp) {
  const opened: string[] = [];
  const client = new Popfleet({
    url: server.url(),
    fetch: async (url, init) => {
      const response = await fetch(url, init);
      const { pathname } = new URL(response.url);
      if (!pathname.endsWith('/events')) return response;
      opened.push(pathname);
      if (opened.length > 1 || !response.body) return response;
      const reader = response.body.getReader();
      let text = '';
      return new Response(
        new ReadableStream({
          // Called when what was there before is taken.
          async pull(controller) {
            if (pattern.test(text)) {
              controller.error(new Error('cut'));
              return reader.cancel();
            }
            const { value } = await reader.read();
            text += new TextDecoder().decode(value);
            controller.enqueue(value);
          },
        }),
        { headers: response.headers },
      );
    },
  });
  return { client, opened };
}

test('events go on where a connection broke', async () => {
  const worker = server.worker();
  const { client, opened } = brokenBehind(/snapshot[^]*\n\n/);
  const { id } = await client.enqueue('add', { one: 1, two: 2 }, { queue: 'cut' });
  const seen: string[] = [];
  for await (const { name, data } of client.events(id)) {
    seen.push('state' in data ? `${name} ${data.state}` : name);
    if (seen.length === 1) await worker.end(await worker.take('cut'), 'succeeded', 3);
  }
  expect(opened).toHaveLength(2);
  expect(seen[0]).toBe('snapshot ready');
  expect(seen.at(-1)).toBe('end succeeded');
});

test('what happens in a queue is followed over a break, and once more from where a reader has left off', async () => {
  const worker = server.worker();
  const { client, opened } = brokenBehind(/"ready"[^]*\n\n/);
  const follow = async (options: FollowOptions, onReady?: () => Promise<void>) => {
    const seen: string[] = [];
    let lastEventId: string | undefined;
    for await (const event of client.follow({ topics: ['queue:followed'], ...options })) {
      if (event.name !== 'state') continue;
      const { state, task } = event.data;
      seen.push(`${task} ${state}`);
      if (state === 'ready') {
        ({ lastEventId } = event);
        await onReady?.();
      }
      if (state === 'succeeded') break;
    }
    return { seen, lastEventId };
  };
  const following = follow({ states: ['ready', 'succeeded'] }, async () =>
    worker.end(await worker.take('followed'), 'succeeded', 3),
  );
  await eventually(() => opened.length > 0);
  const { id } = await client.enqueue('add', { one: 1, two: 2 }, { queue: 'followed' });
  const { seen, lastEventId } = await following;
  expect(seen).toEqual([`${id} ready`, `${id} succeeded`]);
  expect(opened).toEqual(['/v1/events', '/v1/events']);
  expect((await follow({ lastEventId })).seen).toEqual([`${id} running`, `${id} succeeded`]);
});
