// Long polls: callers that wait until a task is finished. One event reader serves them all; none holds a connection.

import { isTerminal } from '../protocol/task-state.ts';
import type { EventHub } from '../store/event-hub.ts';
import type { Inspector } from '../store/inspector.ts';
import type { TaskRecord } from '../store/record.ts';
import { createAdmission } from './admission.ts';

export interface Waiters {
  /**
   * Waits until the task is finished, `ms` have passed, the caller is gone, or the server stops.
   * @param key id of the caller's API key, if it has one
   * @returns the record as it is then; `undefined` when there is no such task
   * @throws PopfleetError `overloaded`, `quota-exceeded` when too many wait already; `redis-unavailable`
   */
  wait(
    task: TaskPlace,
    ms: number,
    gone: AbortSignal,
    key: string | undefined,
  ): Promise<TaskRecord | undefined>;
  /** How many wait now. */
  count(): number;
  /** Answers everyone with what is known. */
  stop(): void;
}

/** Where a task is, as the caller knows already. */
type TaskPlace = Pick<TaskRecord, 'id' | 'queue'>;

const MOST_WAITERS = 10_000;
/** A queue is followed this long after its last caller, so that a client that waits in turns costs no new reader. */
const LINGER_MS = 30_000;

export function createWaiters(inspector: Inspector, hub: EventHub): Waiters {
  /** Task id → everyone who waits for it. */
  const waiting = new Map<string, Set<() => void>>();
  const admission = createAdmission(MOST_WAITERS, 'long polls');
  let stopped = false;

  hub.listen({
    onEntries(_queue, entries) {
      for (const { moves } of entries) {
        for (const { id, state } of moves) {
          if (state === 'removed' || isTerminal(state)) wakeAll(waiting.get(id));
        }
      }
    },
    onGap() {
      for (const waiters of waiting.values()) wakeAll(waiters);
    },
  });

  function wakeAll(waiters: Set<() => void> | undefined): void {
    for (const wake of waiters ?? []) wake();
  }

  /** Resolves when something may have happened to the task, or the deadline passed. */
  function signOf(
    id: string,
    deadline: number,
    gone: AbortSignal,
  ): { promise: Promise<void>; cancel: () => void } {
    let done = (): void => undefined;
    const promise = new Promise<void>((resolve) => {
      const waiters = waiting.get(id) ?? new Set();
      waiting.set(id, waiters);
      const timer = setTimeout(() => done(), Math.max(0, deadline - performance.now()));
      done = () => {
        clearTimeout(timer);
        gone.removeEventListener('abort', done);
        waiters.delete(done);
        if (waiters.size === 0) waiting.delete(id);
        resolve();
      };
      waiters.add(done);
      gone.addEventListener('abort', done, { once: true });
    });
    return { promise, cancel: done };
  }

  async function waitFor(id: string, ms: number, gone: AbortSignal): Promise<TaskRecord | undefined> {
    const deadline = performance.now() + ms;
    for (;;) {
      // Listen first, look second: what happens in between is then told or seen.
      const sign = signOf(id, deadline, gone);
      try {
        const latest = await inspector.task(id);
        const over = stopped || gone.aborted || performance.now() >= deadline;
        if (over || !latest || isTerminal(latest.state)) return latest;
        await sign.promise;
      } finally {
        sign.cancel();
      }
    }
  }

  return {
    async wait({ id, queue }, ms, gone, key) {
      if (ms <= 0 || stopped) return inspector.task(id);
      const leave = admission.enter(key);
      try {
        await hub.watch(queue);
        return await waitFor(id, ms, gone).finally(() => hub.unwatch(queue, LINGER_MS));
      } finally {
        leave();
      }
    },

    count: admission.count,

    stop() {
      stopped = true;
      for (const waiters of waiting.values()) wakeAll(waiters);
    },
  };
}
