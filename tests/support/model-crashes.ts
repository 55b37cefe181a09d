// What the loss of a worker counts for its tasks, in the model of a queue.

import { expect } from 'vitest';
import { readHeader } from '../../src/store/record.ts';
import type { ModelWorker } from './model-worker.ts';

type Headers = Readonly<Record<string, string>>;

/**
 * A run that had begun, and lost its worker in a sweep, counts as a crash; one of which Redis was told nothing, because it was never
 * read, or the word got lost, counts none.
 * @param before headers before the sweep, by id, and `after` it
 */
export function expectCrashesCounted(before: Headers, after: Headers, workers: readonly ModelWorker[]): void {
  for (const [id, token] of Object.entries(before)) {
    const now = after[id];
    if (now === undefined || now === token) continue;
    const run = `${id} ${token}`;
    const { crashes } = readHeader(token);
    if (workers.some(({ untold }) => untold.has(run))) {
      expect(readHeader(now).crashes, `crashes of ${id}, which had not begun`).toBe(crashes);
      continue;
    }
    if (!workers.some(({ runs }) => runs.begun.has(run))) continue;
    expect(Math.max(crashes, readHeader(now).crashes), `crashes of ${id}`).toBeGreaterThan(0);
  }
}

/** What was handed to a worker that is gone, which has said nothing of it, has gone back: its grace is over, and its lease is not. */
export function expectGoneBack(headers: Headers, gone: readonly ModelWorker[]): void {
  const runs = new Set(gone.flatMap(({ untold }) => [...untold]));
  const stranded = Object.entries(headers).filter(([id, token]) => runs.has(`${id} ${token}`));
  expect(stranded, 'tasks that are left with workers that are gone').toEqual([]);
}
