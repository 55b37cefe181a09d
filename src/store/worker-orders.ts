// What a person wants of a live worker: kept in `pf:{q}:orders`, from which its beat learns of it.

import type { Redis } from 'ioredis';
import { placesOf } from './keys.ts';
import { runScript } from './scripts.ts';

/** `quiet`: it finishes what it holds and claims nothing more. `stop`: then its program ends. `work`: neither any more. */
const ORDERS = ['work', 'quiet', 'stop'] as const;
export type WorkerOrder = (typeof ORDERS)[number];

/** `undefined` for none, and for what another release or program has written. */
export function readOrder(text: string | undefined): WorkerOrder | undefined {
  return ORDERS.find((order) => order === text);
}

/**
 * Tells a worker of a queue what to do; it learns of it at once.
 * @param client a connection of `openCommandConnection`
 * @returns false when no such worker is alive
 * @throws Error of ioredis
 */
export async function orderWorker(
  client: Redis,
  queue: string,
  worker: string,
  order: WorkerOrder,
): Promise<boolean> {
  const replies = await Promise.all(
    placesOf(queue).map((place) => runScript(client, 'order', place, [worker, order])),
  );
  return replies.includes(1);
}
