// The dedicated connection of a fetch loop: `BRPOP` over the lanes of all its queues, and nothing else.

import type { Redis } from 'ioredis';
import { DEFAULT_LANE, type Lane, LANES_FROM } from '../protocol/lane.ts';
import type { ConnectionSettings } from './client.ts';
import { createBlocker, openBlockingConnection } from './dedicated-connection.ts';
import { homeOf, placesOf, readyKey } from './keys.ts';

export interface Pop {
  readonly queue: string;
  readonly lane: Lane;
  readonly message: Buffer;
}

export interface BlockingPop {
  /**
   * Waits for the next message of these queues, the first lane of all queues before their second, for at most `blockMs`.
   * @returns `undefined` when the time passed, or `interrupt` ended the wait
   * @throws Error when the connection broke: what was popped then, the ledger check brings back
   */
  pop(queues: readonly string[], first?: Lane): Promise<Pop | undefined>;
  /** Ends a wait from outside: its reply still comes, so a message popped in that moment is not lost. */
  interrupt(): Promise<void>;
  close(): void;
}

/** A dead connection shows itself this long after the block time at the latest. */
const SOCKET_MARGIN_MS = 2_000;

/**
 * Opens the connection.
 * @param command a connection that may send `CLIENT UNBLOCK` while this one is blocked
 * @param blockMs block time of each pop
 * @param queue one that it is for: in a cluster, all of them have to be in the slot of this one
 * @throws Error when Redis cannot be reached
 */
export async function openBlockingPop(
  settings: ConnectionSettings,
  name: string,
  command: Redis,
  blockMs: number,
  queue: string,
): Promise<BlockingPop> {
  const anyKey = readyKey(homeOf(queue), DEFAULT_LANE);
  const client = await openBlockingConnection(settings, name, blockMs + SOCKET_MARGIN_MS, command, anyKey);
  const blocker = await createBlocker(client, command);

  return {
    async pop(queues, first = 'high') {
      const lanes = LANES_FROM[first].flatMap((lane) =>
        queues.flatMap(placesOf).map((place) => ({ queue: place.queue, lane, key: readyKey(place, lane) })),
      );
      const reply = await blocker.run(() =>
        client.brpopBuffer(...lanes.map(({ key }) => key), blockMs / 1_000),
      );
      if (!reply) return undefined;
      const key = reply[0].toString();
      const source = lanes.find((lane) => lane.key === key);
      if (!source) throw new TypeError(`BRPOP answered with a key that was not asked for: ${key}`);
      return { queue: source.queue, lane: source.lane, message: reply[1] };
    },

    interrupt: blocker.unblock,

    close() {
      client.disconnect();
    },
  };
}
