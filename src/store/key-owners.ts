// Whom idempotency keys belong to just now.

import type { Redis } from 'ioredis';
import { TASK_ID_CHARS } from '../protocol/names.ts';
import { homeOf, keyOf } from './keys.ts';
import { withStoreErrors } from './store-error.ts';

const NAMES_A_CALL = 1_000;

interface KeyOwner {
  /** Its task. */
  readonly id: string;
  /** Digest of the request that made it. */
  readonly digest: string;
}

export interface KeyOwners {
  /**
   * @param names as they stand in Redis (`IdempotencyKey.key`)
   * @returns the owner of each, `undefined` for one that is free
   * @throws PopfleetError `redis-unavailable`
   */
  of(queue: string, names: readonly string[]): Promise<readonly (KeyOwner | undefined)[]>;
}

/** @param client a connection of `openCommandConnection` */
export function createKeyOwners(client: Redis): KeyOwners {
  return withStoreErrors<KeyOwners>({
    async of(queue, names) {
      const values: (string | null)[] = [];
      for (let at = 0; at < names.length; at += NAMES_A_CALL) {
        const some = names.slice(at, at + NAMES_A_CALL);
        values.push(...(await client.hmget(keyOf(homeOf(queue), 'idempotency'), ...some)));
      }
      // An id stands in front of the digest.
      return values.map((value) =>
        value === null
          ? undefined
          : { id: value.slice(0, TASK_ID_CHARS), digest: value.slice(TASK_ID_CHARS) },
      );
    },
  });
}
