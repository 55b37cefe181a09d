// What many event streams have in common is made once.

import { describe, expect, test, onTestFinished } from 'vitest';
import type { TaskMove } from '../../src/store/event-entry.ts';
import { EventBuffer } from '../../src/server/events/buffer.ts';
import { movesTo } from '../../src/server/events/frames.ts';
import { post } from '../support/http.ts';
import { openForTest } from '../support/sse.ts';
import { startBareServer } from '../support/bare-server.ts';
import { withServer } from '../support/with-server.ts';

const one = withServer();
const START = { id: '1-0', number: 1 };
const NEXT = { id: '2-0', number: 2 };

function movesOf(count: number, state: TaskMove['state'] = 'ready'): TaskMove[] {
  return Array.from({ length: count }, (_, at) => ({ queue: 'q', id: `task-${at}`, state }));
}

function bufferAt(...queues: readonly string[]): EventBuffer {
  const buffer = new EventBuffer();
  for (const queue of queues) buffer.begin(queue, START);
  buffer.take(); // the opening
  return buffer;
}

describe('case 22: the bytes of an entry', () => {
  test('are the same for all clients that follow the same queues', () => {
    const moves = movesOf(700);
    const buffers = [bufferAt('q'), bufferAt('q'), bufferAt('q', 'other')];
    for (const buffer of buffers) buffer.moves('q', moves, NEXT);
    const [first = [], second = [], third = []] = buffers.map((buffer) => buffer.take());
    expect(first).toHaveLength(2);
    expect(second[0]).toBe(first[0]);
    expect(second[1]).toBe(first[1]);
    // Its id names another queue as well; only the end differs.
    expect(third[0]).toBe(first[0]);
    expect(third[1]).not.toBe(first[1]);
    const text = Buffer.concat(first).toString();
    expect(text.match(/^event: state$/gm)).toHaveLength(700);
    expect(text.match(/^id: /gm)).toHaveLength(1);
    expect(text.endsWith('\nid: q@2-0@2\n\n')).toBe(true);
    expect(Buffer.concat(third).toString().endsWith('\nid: q@2-0@2;other@1-0@1\n\n')).toBe(true);
  });

  test('are the same for all clients that want the same states', () => {
    const moves = [...movesOf(3), ...movesOf(2, 'dead'), ...movesOf(1, 'cancelled')];
    const dead = movesTo(moves, new Set(['cancelled', 'dead']));
    expect(dead).toHaveLength(3);
    expect(movesTo(moves, new Set(['dead', 'cancelled']))).toBe(dead);
    expect(movesTo(moves, new Set(['dead']))).toHaveLength(2);
  });

  test('are not kept for ever: beyond some different ids each client has its own', () => {
    const moves = movesOf(2);
    const taken = Array.from({ length: 40 }, (_, at) => {
      const buffer = bufferAt('q', `other-${at}`);
      buffer.moves('q', moves, NEXT);
      return Buffer.concat([...buffer.take()]).toString();
    });
    expect(new Set(taken).size).toBe(40);
    expect(taken[39]).toContain('id: q@2-0@2;other-39@1-0@1\n');
  });
});

test('case 22: a task that many streams follow is read once when it ends', async () => {
  let reads = 0;
  const bare = await startBareServer(one.redis().url, {
    through: (eventLog) => ({
      ...eventLog,
      task: (queue, id) => {
        reads += 1;
        return eventLog.task(queue, id);
      },
    }),
  });
  onTestFinished(() => bare.stop());
  const { body } = await post(`${one.url()}/v1/tasks`, {
    type: 'add',
    input: { one: 1, two: 2 },
    queue: 'shared',
  });
  const id = String(body['id']);
  const streams = await Promise.all(
    Array.from({ length: 60 }, () => openForTest(`${bare.url}/v1/tasks/${id}/events`)),
  );
  for (const stream of streams) await stream.until('snapshot');
  const before = reads;
  await one.worker().take('shared');
  await one.worker().end(id, 'succeeded', 3);
  for (const stream of streams) await stream.until('end');
  expect(streams.every(({ events }) => events.at(-1)?.data['result'] === 3)).toBe(true);
  expect(reads - before).toBeLessThan(6);
});
