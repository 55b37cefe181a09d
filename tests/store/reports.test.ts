// Progress and log lines that are sent right before the ends of their tasks.

import { expect, test } from 'vitest';
import { createInspector } from '../../src/store/inspector.ts';
import { buildScriptsWithClock } from '../support/model-clock.ts';
import { openScriptedQueue, QUEUE } from '../support/scripted-queue.ts';
import { startStore } from '../support/store.ts';

const { client } = await startStore(buildScriptsWithClock);

test('lines for which one call has too few arguments are kept as well, although the ends are sent in the same turn', async () => {
  const queue = await openScriptedQueue(client);
  await queue.enqueue(6);
  const tasks = await queue.take(6);
  const lines = Array.from({ length: 900 }, (_, at) => `line ${at}`);
  await Promise.all([
    queue.report(tasks, { percent: 1, note: '' }, lines),
    queue.finish(tasks, 'succeeded', { hasHistory: true }),
  ]);
  const inspector = createInspector(client);
  const kept = await Promise.all(tasks.map(async ({ id }) => (await inspector.log(QUEUE, id)).length));
  expect(kept).toEqual(tasks.map(() => lines.length));
});
