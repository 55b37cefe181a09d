// Those who wait until a task is finished: long polls of the server, results of the library. One event reader serves them
// all; none holds a connection.

import { isTerminal } from '../protocol/task-state.ts';
import type { EventHub } from './event-hub.ts';
import type { Inspector } from './inspector.ts';
import type { TaskRecord } from './record.ts';

export interface Waiters {
  /**
   * Waits until the task is finished, `ms` have passed, the caller is gone, or the waiters are stopped.
   * @param key id of the caller's API key, if it has one
   * @returns the record as it is then; `undefined` when there is no such task
   * @throws PopfleetError `redis-unavailable`; that of `Places` when there is no place
   */
  wait(task: TaskPlace, ms: number, gone?: AbortSignal, key?: string): Promise<TaskRecord | undefined>;
  /** How many wait now. */
  count(): number;
  /** Answers everyone with what is known. */
  stop(): void;
}

/** How many may wait at once. */
interface Places {
  /** Takes a place, and answers what gives it back. @throws PopfleetError when there is none */
  enter(key: string | undefined): () => void;
}

/** Where a task is, as the caller knows already. */
type TaskPlace = Pick<TaskRecord, 'id' | 'queue'>;

/** A queue is followed this long after its last caller, so that a client that waits in turns costs no new reader. */
const LINGER_MS = 30_000;

/** @param places without them there is no limit */
export function createWaiters(inspector: Pick<Inspector, 'task'>, hub: EventHub, places?: Places): Waiters {
  const signs = createSigns();
  let count = 0;
  let stopped = false;

  hub.listen({
    onEntries(_queue, entries) {
      for (const { moves } of entries) {
        for (const { id, state } of moves) {
          if (state === 'removed' || isTerminal(state)) signs.give(id);
        }
      }
    },
    onGap() {
      signs.giveAll();
    },
  });

  /** Looks until the task is finished, or has moved to another queue than that which is watched. */
  async function lookIn(
    queue: string,
    id: string,
    deadline: number,
    gone: AbortSignal | undefined,
  ): Promise<TaskRecord | undefined> {
    for (;;) {
      // Listen first, look second: what happens in between then comes as an event, or is seen.
      const sign = signs.of(id, deadline, gone);
      try {
        const latest = await inspector.task(id);
        const over = stopped || gone?.aborted || performance.now() >= deadline;
        if (over || !latest || isTerminal(latest.state) || latest.queue !== queue) return latest;
        await sign.promise;
      } finally {
        sign.cancel();
      }
    }
  }

  async function waitFor(
    { id, queue }: TaskPlace,
    ms: number,
    gone: AbortSignal | undefined,
  ): Promise<TaskRecord | undefined> {
    const deadline = performance.now() + ms;
    for (let watched = queue; ; ) {
      await hub.watch(watched);
      const latest = await lookIn(watched, id, deadline, gone).finally(() => hub.unwatch(watched, LINGER_MS));
      const over = stopped || gone?.aborted || performance.now() >= deadline;
      if (over || !latest || isTerminal(latest.state)) return latest;
      watched = latest.queue;
    }
  }

  return {
    async wait(task, ms, gone, key) {
      if (ms <= 0 || stopped) return inspector.task(task.id);
      const leave = places?.enter(key);
      count += 1;
      try {
        return await waitFor(task, ms, gone);
      } finally {
        count -= 1;
        leave?.();
      }
    },

    count: () => count,

    stop() {
      stopped = true;
      signs.giveAll();
    },
  };
}

/** Signs that something may have happened to a task. */
function createSigns() {
  /** Task id → everyone who waits for it. */
  const waiting = new Map<string, Set<() => void>>();

  function wakeAll(waiters: Set<() => void> | undefined): void {
    for (const wake of waiters ?? []) wake();
  }

  /** Resolves when one is given, or the deadline has passed. */
  function of(
    id: string,
    deadline: number,
    gone: AbortSignal | undefined,
  ): { promise: Promise<void>; cancel: () => void } {
    let done = (): void => undefined;
    const promise = new Promise<void>((resolve) => {
      const waiters = waiting.get(id) ?? new Set();
      waiting.set(id, waiters);
      const timer = setTimeout(() => done(), Math.max(0, deadline - performance.now()));
      done = () => {
        clearTimeout(timer);
        gone?.removeEventListener('abort', done);
        waiters.delete(done);
        if (waiters.size === 0) waiting.delete(id);
        resolve();
      };
      waiters.add(done);
      gone?.addEventListener('abort', done, { once: true });
    });
    return { promise, cancel: done };
  }

  return {
    of,
    give: (id: string): void => wakeAll(waiting.get(id)),
    giveAll(): void {
      for (const waiters of waiting.values()) wakeAll(waiters);
    },
  };
}
