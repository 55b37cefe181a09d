// What sessions are signed with: a secret that all servers of a fleet share, and that stands in no configuration.

import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import { toStoreError } from './store-error.ts';

const KEY = 'pf:session-secret';
const BYTES = 32;

/**
 * Reads the secret, which whoever asks first makes. It is asked for once; when Redis lost it, sessions end.
 * @param client a connection of `openCommandConnection`
 * @returns rejects with PopfleetError `redis-unavailable` while Redis does not answer
 */
export function createSessionSecret(client: Redis): () => Promise<Buffer> {
  let known: Promise<Buffer> | undefined;

  async function read(): Promise<Buffer> {
    try {
      await client.set(KEY, randomBytes(BYTES).toString('hex'), 'NX');
      return Buffer.from((await client.get(KEY)) ?? '', 'hex');
    } catch (error) {
      known = undefined;
      throw toStoreError(error);
    }
  }

  client.on('close', () => {
    // Another Redis, or an emptied one, may stand behind the connection that comes back.
    known = undefined;
  });
  return () => (known ??= read());
}
