// What `popfleet/testing` does to a Redis that is a test's own.

import type { Redis } from 'ioredis';
import { keyOf, placesOf, wakeChannel } from './keys.ts';
import { withStoreErrors } from './store-error.ts';

/** @throws PopfleetError `redis-unavailable` from every method when Redis does not answer */
export interface TestRedis {
  /** Has the tasks of a queue that wait for their time made ready by the next sweep, which comes at once. */
  makeDue(queue: string): Promise<void>;
  /** Removes all that stands in it, of every queue. */
  clear(): Promise<void>;
}

/** @param client a connection of `openCommandConnection` */
export function createTestRedis(client: Redis): TestRedis {
  return withStoreErrors<TestRedis>({
    async makeDue(queue) {
      for (const place of placesOf(queue)) {
        const later = keyOf(place, 'later');
        const ids = await client.zrange(later, '0', '-1');
        // One that was claimed or cancelled meanwhile is left out.
        await Promise.all(ids.map((id) => client.zadd(later, 'XX', 0, id)));
        await client.hdel(keyOf(place, 'queue'), 'sweep_at');
        await client.publish(wakeChannel(place), '0');
      }
    },

    async clear() {
      await client.flushall();
    },
  });
}
