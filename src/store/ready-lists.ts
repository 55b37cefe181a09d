// What waits in a queue, looked at without taking it, and given back when it was popped by one too many.

import type { Redis } from 'ioredis';
import { LANES } from '../protocol/lane.ts';
import type { Pop } from './blocking-pop.ts';
import { homeOf, placesOf, readyKey } from './keys.ts';
import { sendAll } from './pipeline.ts';

export interface ReadyLists {
  /** Whether any message waits. @throws Error of the store */
  hasSome(queue: string): Promise<boolean>;
  /** The message is the next of its lane again; its ledger entry has stayed. @throws Error of the store: the ledger brings it back */
  putBack(popped: Pop): Promise<void>;
}

/** @param client a connection of `openCommandConnection` */
export function createReadyLists(client: Redis): ReadyLists {
  return {
    async hasSome(queue) {
      const keys = placesOf(queue).flatMap((place) => LANES.map((lane) => readyKey(place, lane)));
      const lengths = await sendAll(
        client,
        keys.map((key) => ['llen', key]),
      );
      return lengths.some((length) => Number(length) > 0);
    },

    async putBack({ queue, lane, message }) {
      await client.rpush(readyKey(homeOf(queue), lane), message);
    },
  };
}
