// What this worker holds: tasks, each known by queue, id and token.

import { createChanges } from '../lifecycle.ts';
import type { ClaimedTask } from '../store/consumer.ts';
import { StopSource } from './runners/runner.ts';

/** A task that this worker holds, and the source that stops its run. */
export class HeldTask extends StopSource {
  readonly task: ClaimedTask;
  /** Its handler has reported progress or log lines. */
  hasReported = false;
  /** As far as is known: one that runs inline, or has run, needs none. */
  needsThread = true;

  constructor(task: ClaimedTask) {
    super();
    this.task = task;
  }
}

export interface Slots {
  /** Tasks that are held. */
  size(): number;
  /** Tasks that may be held at this moment. */
  limit(): number;
  /** Slots that are neither held nor reserved; never negative. */
  free(): number;
  /**
   * Takes free slots out of the count until they are given back, and those of `ending` tasks that are held but will be
   * dropped before. Answers how many.
   */
  reserve(wanted: number, ending?: number): number;
  unreserve(count: number): void;
  /** Holds a task; `undefined` when it is held already. More than the limit may be held after a lost reply. */
  hold(task: ClaimedTask): HeldTask | undefined;
  drop(queue: string, id: string, token: string): void;
  find(queue: string, id: string): HeldTask | undefined;
  held(queue?: string): readonly HeldTask[];
  /** Resolves when a slot is free, when none is held any more, or when the signal fires. */
  whenFree(signal: AbortSignal): Promise<void>;
  whenEmpty(signal: AbortSignal): Promise<void>;
}

/**
 * @param limit how many tasks may be held at this moment
 * @param onBusy called when the first task is held, and when none is any more
 */
export function createSlots(limit: () => number, onBusy: (isBusy: boolean) => void = () => undefined): Slots {
  /** By queue and id. */
  const tasks = new Map<string, Map<string, HeldTask>>();
  let size = 0;
  const { changed, until } = createChanges();
  let reserved = 0;

  const free = (): number => Math.max(0, limit() - size - reserved);

  function tasksOf(queue: string): Map<string, HeldTask> {
    let ofQueue = tasks.get(queue);
    if (!ofQueue) {
      ofQueue = new Map();
      tasks.set(queue, ofQueue);
    }
    return ofQueue;
  }

  return {
    size: () => size,
    limit,
    free,

    reserve(wanted, ending = 0) {
      const count = Math.min(wanted, Math.max(0, limit() - size - reserved + ending));
      reserved += count;
      return count;
    },

    unreserve(count) {
      reserved -= count;
      if (count > 0) changed();
    },

    hold(task) {
      const ofQueue = tasksOf(task.queue);
      const before = ofQueue.get(task.id);
      if (before?.task.token === task.token) return undefined;
      // An older claim of the same task was lost and taken again: its run must not end this one.
      if (before) before.stop('lease-lost');
      else size += 1;
      const held = new HeldTask(task);
      ofQueue.set(task.id, held);
      if (size === 1 && !before) onBusy(true);
      return held;
    },

    drop(queue, id, token) {
      const ofQueue = tasksOf(queue);
      if (ofQueue.get(id)?.task.token !== token) return;
      ofQueue.delete(id);
      size -= 1;
      if (size === 0) onBusy(false);
      changed();
    },

    find: (queue, id) => tasks.get(queue)?.get(id),

    held(queue) {
      if (queue !== undefined) return [...tasksOf(queue).values()];
      return [...tasks.values()].flatMap((ofQueue) => Array.from(ofQueue.values()));
    },

    whenFree: (signal) => until(() => free() > 0, signal),
    whenEmpty: (signal) => until(() => size === 0, signal),
  };
}
