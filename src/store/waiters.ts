// Those who wait until a task or a workflow is finished: long polls of the server, results of the library. One event reader serves them
// all; none holds a connection.

import { isTerminal } from '../protocol/task-state.ts';
import type { EventHub } from './event-hub.ts';
import type { EventListener } from './event-reader.ts';
import type { Inspector } from './inspector.ts';
import type { TaskRecord } from './record.ts';
import { isOverWorkflow, type WorkflowRecord } from './workflows.ts';

export interface Waiters {
  /**
   * Waits until the task is finished, `ms` have passed, the caller is gone, or the waiters are stopped.
   * @param key id of the caller's API key, if it has one
   * @returns the record as it is then; `undefined` when there is no such task
   * @throws PopfleetError `redis-unavailable`; that of `Places` when there is no place
   */
  wait(task: TaskPlace, ms: number, gone?: AbortSignal, key?: string): Promise<TaskRecord | undefined>;
  /**
   * The same for a workflow.
   * @param workflow with its home queue
   * @param look reads it
   */
  waitForWorkflow(
    workflow: TaskPlace,
    look: () => Promise<WorkflowRecord | undefined>,
    ms: number,
    gone?: AbortSignal,
    key?: string,
  ): Promise<WorkflowRecord | undefined>;
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

/** What somebody waits for. */
interface Awaited<Seen> extends TaskPlace {
  look(): Promise<Seen | undefined>;
  isOver(seen: Seen): boolean;
  /** The queue whose events tell of it. */
  queueOf(seen: Seen): string;
}

/** A queue is followed this long after its last caller, so that a client that waits in turns costs no new reader. */
const LINGER_MS = 30_000;

/** @param places without them there is no limit */
export function createWaiters(inspector: Pick<Inspector, 'task'>, hub: EventHub, places?: Places): Waiters {
  const signs = createSigns();
  let count = 0;
  let stopped = false;

  hub.listen(listenerFor(signs));

  /** Looks until it is finished, or has moved to another queue than that which is watched. */
  async function lookIn<Seen>(
    queue: string,
    { id, look, isOver, queueOf }: Awaited<Seen>,
    deadline: number,
    gone: AbortSignal | undefined,
  ): Promise<Seen | undefined> {
    for (;;) {
      // Listen first, look second: what happens in between then comes as an event, or is seen.
      const sign = signs.of(id, deadline, gone);
      try {
        const latest = await look();
        const over = stopped || gone?.aborted || performance.now() >= deadline;
        if (over || !latest || isOver(latest) || queueOf(latest) !== queue) return latest;
        await sign.promise;
      } finally {
        sign.cancel();
      }
    }
  }

  async function waitFor<Seen>(
    awaited: Awaited<Seen>,
    ms: number,
    gone: AbortSignal | undefined,
  ): Promise<Seen | undefined> {
    const deadline = performance.now() + ms;
    for (let watched = awaited.queue; ; ) {
      await hub.watch(watched);
      const latest = await lookIn(watched, awaited, deadline, gone).finally(() =>
        hub.unwatch(watched, LINGER_MS),
      );
      const over = stopped || gone?.aborted || performance.now() >= deadline;
      if (over || !latest || awaited.isOver(latest)) return latest;
      watched = awaited.queueOf(latest);
    }
  }

  async function wait<Seen>(
    awaited: Awaited<Seen>,
    ms: number,
    gone: AbortSignal | undefined,
    key: string | undefined,
  ): Promise<Seen | undefined> {
    if (ms <= 0 || stopped) return awaited.look();
    const leave = places?.enter(key);
    count += 1;
    try {
      return await waitFor(awaited, ms, gone);
    } finally {
      count -= 1;
      leave?.();
    }
  }

  return {
    async wait({ id, queue }, ms, gone, key) {
      const look = (): Promise<TaskRecord | undefined> => inspector.task(id);
      const isOver = ({ state }: TaskRecord): boolean => isTerminal(state);
      return wait({ id, queue, look, isOver, queueOf: (seen) => seen.queue }, ms, gone, key);
    },

    async waitForWorkflow({ id, queue }, look, ms, gone, key) {
      return wait({ id, queue, look, isOver: isOverWorkflow, queueOf: () => queue }, ms, gone, key);
    },

    count: () => count,

    stop() {
      stopped = true;
      signs.giveAll();
    },
  };
}

/** Gives a sign to those who wait for what an entry tells of. */
function listenerFor(signs: ReturnType<typeof createSigns>): EventListener {
  return {
    onEntries(_queue, entries) {
      for (const { moves, news } of entries) {
        for (const one of news) if (one.kind === 'workflow') signs.give(one.id);
        for (const { id, state } of moves) {
          if (state === 'removed' || isTerminal(state)) signs.give(id);
        }
      }
    },
    onGap() {
      signs.giveAll();
    },
  };
}

/** Signs that something may have happened to a task or a workflow. */
function createSigns() {
  /** Id → everyone who waits for it. */
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
