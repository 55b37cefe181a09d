// What a thread says last, as the main thread reads it.

import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { ThreadMemory } from '../../src/worker/runners/thread-memory.ts';

test('case 40: the latest progress is read from the other side, with and without a note', () => {
  const thread = new ThreadMemory();
  const main = new ThreadMemory(thread.memory);
  expect(main.progress()).toBeUndefined();
  thread.setProgress(7, 0, 'begun');
  expect(main.progress()).toEqual({ run: 7, percent: 0, note: 'begun' });
  thread.setProgress(2 ** 40, 33.3, undefined);
  expect(main.progress()).toEqual({ run: 2 ** 40, percent: 33.3, note: undefined });
  thread.setProgress(8, 100, '😀'.repeat(128));
  expect(main.progress()).toEqual({ run: 8, percent: 100, note: '😀'.repeat(128) });
  thread.setProgress(8, 100, '\u20AC'.repeat(256));
  expect(main.progress()?.note).toBe('\u20AC'.repeat(256));
  thread.setProgress(9, 1, '');
  expect(main.progress()).toEqual({ run: 9, percent: 1, note: '' });
});

test('case 40: the text that was not passed on is kept, the latest of it when it is much', () => {
  const thread = new ThreadMemory();
  const main = new ThreadMemory(thread.memory);
  expect(main.rest()).toBe('');
  thread.keep('one, ');
  thread.keep('zwö');
  expect(main.rest()).toBe('one, zwö');
  thread.passedOn();
  expect(main.rest()).toBe('');
  for (let nth = 0; nth < 10_000; nth += 1) thread.keep(`line ${nth}\n`);
  const lines = main.rest().split('\n');
  expect(lines.slice(-3)).toEqual(['line 9998', 'line 9999', '']);
  expect(lines.length).toBeGreaterThan(500);
  thread.keep('x'.repeat(100_000));
  expect(main.rest()).toBe('x'.repeat(8_192));
  thread.passedOn();
  thread.keep('end');
  expect(main.rest()).toBe('end');
});

test('case 40: a thread that is ended while it speaks has left whole values', async () => {
  const main = new ThreadMemory();
  const built = new URL('../../dist/worker/runners/thread-memory.js', import.meta.url).href;
  const code = `import('${built}').then(({ ThreadMemory }) => {
    const memory = new ThreadMemory(require('node:worker_threads').workerData);
    for (let n = 0; ; n += 1) memory.setProgress(n, n % 100, String(n).repeat(10));
  })`;
  for (let time = 0; time < 5; time += 1) {
    const worker = new Worker(code, { eval: true, workerData: main.memory });
    const before = main.progress()?.run ?? 0;
    while ((main.progress()?.run ?? 0) === before) await new Promise((resolve) => setTimeout(resolve, 1));
    await worker.terminate();
    const { run = 0, percent, note } = main.progress() ?? {};
    expect({ percent, note }).toEqual({ percent: run % 100, note: String(run).repeat(10) });
  }
});
