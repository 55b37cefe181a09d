// How long the task that waits for longest has been ready.

import type { Redis } from 'ioredis';
import type { Place } from './keys.ts';
import { readySince } from './ready-since.ts';

export interface WaitingPlace {
  readonly place: Place;
  /** Milliseconds of the clock of the place, as `readySince` tells times. */
  readonly now: number;
}

/**
 * The next task of each lane stands for the lane: tasks begin in their order.
 * @param places where tasks are ready; nothing is asked of others
 * @returns milliseconds; 0 when nothing waits; `undefined` when it cannot be said
 * @throws Error of ioredis
 */
export async function oldestReadyMs(
  client: Redis,
  places: readonly WaitingPlace[],
): Promise<number | undefined> {
  if (places.length === 0) return 0;
  const looks = await readySince(client, places);
  const ages = looks.flatMap(({ since }, at) =>
    Object.values(since)
      .filter((time) => typeof time === 'number')
      .map((time) => (places[at]?.now ?? time) - time),
  );
  return ages.length === 0 ? undefined : Math.max(0, ...ages);
}
