// One event reader for everybody in the process: hands what it reads to all listeners and counts who needs which queue.

import type { EventPosition } from './event-entry.ts';
import type { EventListener, EventReader } from './event-reader.ts';

export interface EventHub {
  /** Calls a listener for every queue that is watched, as long as the hub lives. */
  listen(listener: EventListener): void;
  /**
   * Resolves once every later entry of the queue will reach the listeners; goes with one `unwatch`.
   * @returns since when it has been so, by `performance.now()`
   * @throws PopfleetError `redis-unavailable`
   */
  watch(queue: string): Promise<number>;
  /** @param lingerMs the queue is followed this much longer, so that a watcher that comes back costs nothing */
  unwatch(queue: string, lingerMs?: number): void;
  position(queue: string): EventPosition | undefined;
  /** How many queues are followed now. */
  watched(): number;
  stop(): Promise<void>;
}

interface Watched {
  users: number;
  /** By `performance.now()`. `since`: its entries reach the listeners. */
  since?: number;
  until: number;
  linger?: NodeJS.Timeout;
}

export function createEventHub(openReader: (listener: EventListener) => EventReader): EventHub {
  const listeners: EventListener[] = [];
  const queues = new Map<string, Watched>();
  const reader = openReader({
    onEntries(queue, entries) {
      for (const listener of listeners) listener.onEntries(queue, entries);
    },
    onGap(queue) {
      for (const listener of listeners) listener.onGap(queue);
    },
  });

  function unwatch(queue: string, lingerMs = 0): void {
    const watched = queues.get(queue);
    if (!watched) return;
    const now = performance.now();
    watched.users -= 1;
    watched.until = Math.max(watched.until, now + lingerMs);
    if (watched.users > 0) return;
    const drop = (): void => {
      queues.delete(queue);
      reader.unwatch(queue);
    };
    if (watched.until <= now) drop();
    else watched.linger = setTimeout(drop, watched.until - now).unref();
  }

  return {
    listen(listener) {
      listeners.push(listener);
    },

    async watch(queue) {
      const watched: Watched = queues.get(queue) ?? { users: 0, until: 0 };
      queues.set(queue, watched);
      clearTimeout(watched.linger);
      watched.users += 1;
      try {
        await reader.watch(queue);
      } catch (error) {
        unwatch(queue);
        throw error;
      }
      // The hub was stopped meanwhile.
      if (!queues.has(queue)) reader.unwatch(queue);
      return (watched.since ??= performance.now());
    },

    unwatch,
    position: (queue) => reader.position(queue),
    watched: () => queues.size,

    async stop() {
      for (const { linger } of queues.values()) clearTimeout(linger);
      queues.clear();
      await reader.stop();
    },
  };
}
