// Many commands at once.

import type { Redis } from 'ioredis';
import { ClusterClient } from './cluster.ts';

export type Command = readonly [name: string, ...args: (string | number)[]];

/** Replies in the order of the commands. @throws Error of ioredis: the first failure */
export async function sendAll(client: Redis, commands: readonly Command[]): Promise<unknown[]> {
  if (commands.length === 0) return [];
  // Each goes to its own node there.
  if (client instanceof ClusterClient) {
    return Promise.all(commands.map(([name, ...args]) => client.call(name, args)));
  }
  const replies = (await client.pipeline(commands.map((one) => [...one])).exec()) ?? [];
  return replies.map(([error, reply]) => {
    if (error) throw error;
    return reply;
  });
}
