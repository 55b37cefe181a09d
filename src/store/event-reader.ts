// Follows the event streams of the queues somebody waits for, on one dedicated connection.

import type { Redis } from 'ioredis';
import { delay, retryDelayMs } from '../lifecycle.ts';
import type { TaskState } from '../protocol/task-state.ts';
import { type ConnectionSettings, openBlockingConnection, unblock } from './connection.ts';
import { queueKey } from './keys.ts';
import { toStoreError } from './store-error.ts';

export interface TaskMove {
  readonly queue: string;
  readonly id: string;
  readonly state: TaskState | 'removed';
}

export interface EventListener {
  /** In the order in which Redis made them, per queue. */
  onMoves(moves: readonly TaskMove[]): void;
  /** Moves may have been missed (the connection was replaced, the stream was trimmed): whoever waits must look again. */
  onGap(): void;
}

export interface EventReader {
  /** Resolves once every later move in the queue will be told. @throws PopfleetError `redis-unavailable` */
  watch(queue: string): Promise<void>;
  unwatch(queue: string): void;
  stop(): Promise<void>;
}

const BLOCK_MS = 5_000;
const SOCKET_MARGIN_MS = 2_000;
const ENTRIES_A_READ = 1_000;
const ID_CHARS = 36;

/** @param command a connection of `openCommandConnection` */
export function createEventReader(
  settings: ConnectionSettings,
  command: Redis,
  listener: EventListener,
): EventReader {
  /** Queue → the last entry that was read. */
  const positions = new Map<string, Position>();
  const stopping = new AbortController();
  let session: { readonly client: Redis; readonly id: number } | undefined;
  let blocked = false;
  let loop: Promise<void> | undefined;

  async function lastEntryOf(queue: string): Promise<Position> {
    const newest = command.xrevrange(`${queueKey(queue)}:events`, '+', '-', 'COUNT', 1);
    const [last] = await newest.catch((error: unknown) => {
      throw toStoreError(error);
    });
    return last ? { id: last[0], number: numberOf(last[1]) } : { id: '0-0', number: 0 };
  }

  async function open(): Promise<{ readonly client: Redis; readonly id: number }> {
    const client = await openBlockingConnection(settings, 'events', BLOCK_MS + SOCKET_MARGIN_MS);
    return { client, id: await client.client('ID') };
  }

  async function read(client: Redis): Promise<void> {
    const queues = [...positions.keys()];
    const keys = queues.map((queue) => `${queueKey(queue)}:events`);
    const from = queues.map((queue) => positions.get(queue)?.id ?? '$');
    blocked = true;
    const reply = await client
      .xread('COUNT', ENTRIES_A_READ, 'BLOCK', BLOCK_MS, 'STREAMS', ...keys, ...from)
      .finally(() => {
        blocked = false;
      });
    for (const [key, entries] of reply ?? []) {
      const queue = queues[keys.indexOf(key)];
      const before = queue === undefined ? undefined : positions.get(queue);
      const last = entries.at(-1);
      if (queue === undefined || !before || !last) continue;
      const position = { id: last[0], number: numberOf(last[1]) };
      positions.set(queue, position);
      listener.onMoves(entries.flatMap(([, fields]) => readMoves(queue, fields)));
      // Entries were trimmed before they were read.
      if (position.number !== before.number + entries.length) listener.onGap();
    }
  }

  /** Runs as long as somebody watches; a broken connection is replaced. */
  async function follow(): Promise<void> {
    for (let failures = 0; positions.size > 0 && !stopping.signal.aborted; ) {
      try {
        session = await open();
        if (failures > 0) await startOver();
        failures = 0;
        while (positions.size > 0 && !stopping.signal.aborted) await read(session.client);
      } catch {
        failures += 1;
        await delay(retryDelayMs(failures, 50, 1_000), stopping.signal);
      } finally {
        session?.client.disconnect();
        session = undefined;
      }
    }
  }

  /** The streams may have been trimmed or lost meanwhile: read on from where they are now. */
  async function startOver(): Promise<void> {
    for (const queue of positions.keys()) positions.set(queue, await lastEntryOf(queue));
    listener.onGap();
  }

  function start(): void {
    loop = follow().finally(() => {
      loop = undefined;
      // Somebody may have begun to watch while the loop was ending.
      if (positions.size > 0 && !stopping.signal.aborted) start();
    });
  }

  return {
    async watch(queue) {
      if (positions.has(queue)) return;
      const last = await lastEntryOf(queue);
      if (positions.has(queue)) return;
      positions.set(queue, last);
      if (!loop) start();
      // A read that waits already does not know of this queue.
      else if (session) await unblock(command, session.id, () => blocked);
    },

    unwatch(queue) {
      positions.delete(queue);
    },

    async stop() {
      stopping.abort();
      session?.client.disconnect();
      await loop;
    },
  };
}

/** An entry of an event stream. */
interface Position {
  readonly id: string;
  /** Its `n`: one more than that of the entry before it. */
  readonly number: number;
}

/** `n` of an entry, which is its first field. */
function numberOf(fields: readonly string[]): number {
  return Number(fields[1]);
}

/** Fields named `m`: moves with a blank between them, each the task's id and then its new state. */
function readMoves(queue: string, fields: readonly string[]): TaskMove[] {
  return fields.flatMap((text, at) => {
    if (at % 2 === 0 || fields[at - 1] !== 'm') return [];
    return text.split(' ').map((move) => ({
      queue,
      id: move.slice(0, ID_CHARS),
      state: move.slice(ID_CHARS) as TaskMove['state'],
    }));
  });
}
