// Those who wait until a task, a workflow or a batch is finished: long polls of the server, results of the library. One event reader serves them
// all; none holds a connection.

import { isTerminal } from '../protocol/task-state.ts';
import type { ToldRow } from './event-entry.ts';
import type { EventHub } from './event-hub.ts';
import type { EventListener } from './event-reader.ts';
import type { Inspector } from './inspector.ts';
import { readToldRow, type TaskRecord } from './record.ts';

export interface Waiters {
  /**
   * Waits until the task is finished, `ms` have passed, the caller is gone, or the waiters are stopped.
   * @param key id of the caller's API key, if it has one
   * @returns the record as it is then; `undefined` when there is no such task
   * @throws PopfleetError `redis-unavailable`; that of `Places` when there is no place
   */
  wait(task: TaskPlace, ...rest: WaitRest): Promise<TaskRecord | undefined>;
  /**
   * The same for a task whose queue is not known.
   * @param look reads it as an awaited one (`Inspector.task`)
   * @throws whatever `look` throws, too
   */
  waitFor(
    id: string,
    look: () => Promise<TaskRecord | undefined>,
    ...rest: WaitRest
  ): Promise<TaskRecord | undefined>;
  /**
   * The same for a workflow or a batch.
   * @param record with its home queue, what reads it, and what says that it is over
   */
  waitForRecord<Seen>(
    record: TaskPlace & Pick<Awaited<Seen>, 'look' | 'isOver'>,
    ...rest: WaitRest
  ): Promise<Seen | undefined>;
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

/** How long somebody waits, what aborts the wait, and the key of the caller. */
type WaitRest = [ms: number, gone?: AbortSignal, key?: string];

/** What somebody waits for. */
interface Awaited<Seen> {
  readonly id: string;
  /** Where it is, if that is known. */
  readonly queue?: string;
  look(): Promise<Seen | undefined>;
  isOver(seen: Seen): boolean;
  /** The queue whose events tell of it. */
  queueOf(seen: Seen): string;
  /** As it is by the row in the event of its end, if that can be said. @param seen as it was before */
  ended?(seen: Seen, row: ToldRow): Seen | undefined;
}

/** A queue is followed this long after its last caller, so that a client that waits in turns costs no new reader. */
const LINGER_MS = 30_000;

/** @param places without them there is no limit */
export function createWaiters(inspector: Pick<Inspector, 'task'>, hub: EventHub, places?: Places): Waiters {
  const signs = createSigns();
  let count = 0;
  let stopped = false;

  hub.listen(listenerFor(signs));

  /** Takes a place. @returns what gives it back */
  function enter(key: string | undefined): () => void {
    const leave = places?.enter(key);
    count += 1;
    return () => {
      count -= 1;
      leave?.();
    };
  }

  async function waitFor<Seen>(
    { id, queue, look, isOver, queueOf, ended }: Awaited<Seen>,
    ...[ms, gone, key]: WaitRest
  ): Promise<Seen | undefined> {
    if (ms <= 0 || stopped) return look();
    const deadline = performance.now() + ms;
    const watch = openWatch(hub, () => enter(key));
    try {
      if (queue !== undefined) await watch.follow(queue);
      for (;;) {
        // Listen first, look second: what happens in between then comes as an event, or is seen.
        const sign = signs.of(id, deadline, gone);
        try {
          const lookedAt = performance.now();
          const latest = await look();
          const over = stopped || gone?.aborted || performance.now() >= deadline;
          if (over || !latest || isOver(latest)) return latest;
          if ((await watch.follow(queueOf(latest))) > lookedAt) continue;
          const row = await sign.promise;
          const last = row && ended?.(latest, row);
          if (last) return last;
        } finally {
          sign.cancel();
        }
      }
    } finally {
      watch.stop();
    }
  }

  function waitForTask(task: Pick<Awaited<TaskRecord>, 'id' | 'queue' | 'look'>, ...rest: WaitRest) {
    return waitFor<TaskRecord>(
      {
        ...task,
        isOver: ({ state }) => isTerminal(state),
        queueOf: (seen) => seen.queue,
        ended: ({ queue, content }, row) => (row.queue === queue ? readToldRow(row, content) : undefined),
      },
      ...rest,
    );
  }

  return {
    wait: ({ id, queue }, ...rest) =>
      waitForTask({ id, queue, look: () => inspector.task(id, undefined, true) }, ...rest),

    waitFor: (id, look, ...rest) => waitForTask({ id, look }, ...rest),

    waitForRecord: (record, ...rest) => waitFor({ ...record, queueOf: () => record.queue }, ...rest),

    count: () => count,

    stop() {
      stopped = true;
      signs.giveAll();
    },
  };
}

/** Follows the queue in which something is, and then the one to which it goes. @param enter takes a place, and answers what gives it back */
function openWatch(hub: EventHub, enter: () => () => void) {
  let followed: { readonly queue: string; readonly since: number } | undefined;
  let leave: (() => void) | undefined;

  function unfollow(): void {
    if (followed) hub.unwatch(followed.queue, LINGER_MS);
    followed = undefined;
  }

  return {
    /** @returns since when its events have given signs, by `performance.now()` */
    async follow(queue: string): Promise<number> {
      if (followed?.queue === queue) return followed.since;
      leave ??= enter();
      unfollow();
      const since = await hub.watch(queue);
      followed = { queue, since };
      return since;
    },

    stop(): void {
      unfollow();
      leave?.();
    },
  };
}

/** Gives a sign to those who wait for what an entry tells of. */
function listenerFor(signs: ReturnType<typeof createSigns>): EventListener {
  return {
    onEntries(_queue, entries) {
      for (const { moves, news, rows } of entries) {
        for (const one of news) if (one.kind !== 'operation') signs.give(one.id);
        for (const { id, state } of moves) {
          if (state === 'removed' || isTerminal(state)) signs.give(id, rows.get(id));
        }
      }
    },
    onGap() {
      signs.giveAll();
    },
  };
}

/** Signs that something may have happened to a task, a workflow or a batch. */
function createSigns() {
  /** Id → everyone who waits for it. */
  const waiting = new Map<string, Set<(row?: ToldRow) => void>>();

  function wakeAll(waiters: Set<(row?: ToldRow) => void> | undefined, row?: ToldRow): void {
    for (const wake of waiters ?? []) wake(row);
  }

  /** Resolves when one is given, with the row of the task that has ended if the event had it, or the deadline has passed. */
  function of(
    id: string,
    deadline: number,
    gone: AbortSignal | undefined,
  ): { promise: Promise<ToldRow | undefined>; cancel: () => void } {
    let done = (_row?: ToldRow): void => undefined;
    const promise = new Promise<ToldRow | undefined>((resolve) => {
      const waiters = waiting.get(id) ?? new Set();
      waiting.set(id, waiters);
      const timer = setTimeout(() => done(), Math.max(0, deadline - performance.now()));
      const leave = (): void => done();
      done = (row) => {
        clearTimeout(timer);
        gone?.removeEventListener('abort', leave);
        waiters.delete(done);
        if (waiters.size === 0) waiting.delete(id);
        resolve(row);
      };
      waiters.add(done);
      gone?.addEventListener('abort', leave, { once: true });
    });
    return { promise, cancel: () => done() };
  }

  return {
    of,
    give: (id: string, row?: ToldRow): void => wakeAll(waiting.get(id), row),
    giveAll(): void {
      for (const waiters of waiting.values()) wakeAll(waiters);
    },
  };
}
