// Follows the event streams of the watched queues, on one dedicated connection; in a cluster on one for each of them.

import type { Redis } from 'ioredis';
import { delay, retryDelayMs } from '../lifecycle.ts';
import type { ConnectionSettings } from './client.ts';
import { ClusterClient } from './cluster.ts';
import { type Blocker, createBlocker, openBlockingConnection } from './dedicated-connection.ts';
import { type EventEntry, type EventPosition, isAfter, isUnbroken, readEntry } from './event-entry.ts';
import { latestPosition } from './event-log.ts';
import { homeOf, keyOf } from './keys.ts';
import { faultOf, isOutage, throwStoreError } from './store-error.ts';

export interface EventListener {
  /** In the order in which Redis made them, per queue. */
  onEntries(queue: string, entries: readonly EventEntry[]): void;
  /**
   * Entries before the next ones may have been missed (the connection was replaced, the stream was trimmed): a waiter
   * must look again.
   */
  onGap(queue: string): void;
}

export interface EventReader {
  /** Resolves once every later entry of the queue will reach the listener. @throws PopfleetError `redis-unavailable` */
  watch(queue: string): Promise<void>;
  unwatch(queue: string): void;
  /** Everything up to here has reached the listener, or happened before the queue was watched; `undefined` when it is not. */
  position(queue: string): EventPosition | undefined;
  stop(): Promise<void>;
}

interface Session {
  readonly client: Redis;
  readonly blocker: Blocker;
}

const BLOCK_MS = 5_000;
const SOCKET_MARGIN_MS = 2_000;
const ENTRIES_A_READ = 1_000;

/** @param command a connection of `openCommandConnection` */
export function createEventReader(
  settings: ConnectionSettings,
  command: Redis,
  listener: EventListener,
): EventReader {
  if (!(command instanceof ClusterClient)) return createReader(settings, command, listener);
  // There a read waits for streams of one slot.
  const readers = new Map<string, EventReader>();
  return {
    async watch(queue) {
      const reader = readers.get(queue) ?? createReader(settings, command, listener);
      readers.set(queue, reader);
      await reader.watch(queue);
    },
    unwatch(queue) {
      void readers.get(queue)?.stop();
      readers.delete(queue);
    },
    position: (queue) => readers.get(queue)?.position(queue),
    async stop() {
      await Promise.all([...readers.values()].map((reader) => reader.stop()));
    },
  };
}

function createReader(settings: ConnectionSettings, command: Redis, listener: EventListener): EventReader {
  /** Queue → the last entry that was read. */
  const positions = new Map<string, EventPosition>();
  const stopping = new AbortController();
  let session: Session | undefined;
  let loop: Promise<void> | undefined;
  let loggedCause: string | undefined;

  const isWanted = (): boolean => positions.size > 0 && !stopping.signal.aborted;

  function passOn(queue: string, found: readonly EventEntry[]): void {
    const before = positions.get(queue);
    if (!before) return;
    // A queue that was left and watched again while the read was under way begins later than this read did.
    const entries = found.filter(({ position }) => isAfter(position, before));
    const last = entries.at(-1);
    if (!last) return;
    positions.set(queue, last.position);
    // Entries were trimmed before they were read.
    if (!isUnbroken(before, entries)) listener.onGap(queue);
    listener.onEntries(queue, entries);
  }

  /** Runs as long as a queue is watched; a broken connection is replaced. */
  async function follow(): Promise<void> {
    for (let failures = 0; isWanted(); ) {
      try {
        const [first = ''] = positions.keys();
        session = await openSession(settings, command, first);
        if (failures > 0) await startOver();
        while (isWanted()) {
          for (const [queue, entries] of await readAfter(positions, session)) passOn(queue, entries);
          [failures, loggedCause] = [0, undefined];
        }
      } catch (error) {
        report(error);
        failures += 1;
        await delay(retryDelayMs(failures, 50, 1_000), stopping.signal);
      } finally {
        session?.client.disconnect();
        session = undefined;
      }
    }
  }

  /** Logs each cause once; why Redis is away, the command connection says. */
  function report(error: unknown): void {
    const cause = faultOf(error) ?? String(error);
    if (!stopping.signal.aborted && cause !== loggedCause && !isOutage(error)) {
      settings.log.error({ err: error }, 'cannot follow events, trying again until it works');
    }
    loggedCause = cause;
  }

  /** The streams may have been trimmed or lost meanwhile: read on from where they are now. */
  async function startOver(): Promise<void> {
    for (const queue of positions.keys()) {
      const latest = await latestPosition(command, queue);
      if (!positions.has(queue)) continue;
      positions.set(queue, latest);
      // In the same turn: the new position must not count as read before the gap is reported.
      listener.onGap(queue);
    }
  }

  function start(): void {
    loop = follow().finally(() => {
      loop = undefined;
      // A queue may have been watched anew while the loop was ending.
      if (isWanted()) start();
    });
  }

  return {
    async watch(queue) {
      if (positions.has(queue)) return;
      const last = await latestPosition(command, queue).catch(throwStoreError);
      if (positions.has(queue)) return;
      positions.set(queue, last);
      if (!loop) start();
      // A read that waits already does not know of this queue.
      else await session?.blocker.unblock();
    },

    unwatch: (queue) => void positions.delete(queue),
    position: (queue) => positions.get(queue),

    async stop() {
      stopping.abort();
      session?.client.disconnect();
      await loop;
    },
  };
}

async function openSession(settings: ConnectionSettings, command: Redis, queue: string): Promise<Session> {
  const key = keyOf(homeOf(queue), 'events');
  const client = await openBlockingConnection(settings, 'events', BLOCK_MS + SOCKET_MARGIN_MS, command, key);
  return { client, blocker: await createBlocker(client, command) };
}

/** Waits for entries that come after the positions of their queues. @returns them by queue; none when the block time passed */
async function readAfter(
  positions: ReadonlyMap<string, EventPosition>,
  { client, blocker }: Session,
): Promise<(readonly [queue: string, entries: readonly EventEntry[]])[]> {
  const queues = [...positions.keys()];
  const keys = queues.map((queue) => keyOf(homeOf(queue), 'events'));
  const from = [...positions.values()].map(({ id }) => id);
  const reply = await blocker.run(() =>
    client.xreadBuffer('COUNT', ENTRIES_A_READ, 'BLOCK', BLOCK_MS, 'STREAMS', ...keys, ...from),
  );
  return (reply ?? []).map(([key, rows]) => {
    const queue = queues[keys.indexOf(String(key))] ?? '';
    return [queue, rows.map((row) => readEntry(queue, row))] as const;
  });
}
