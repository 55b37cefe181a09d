// Finds commands of Redis that cost more the more tasks there are.

import type { Redis } from 'ioredis';

/** Keys of a queue with an element a task, or more. */
const OF_TASKS =
  'ready:\\w+|ledger:\\w+|contents|headers|inputs|running|later|done|dead|kept|events|search|watched|outbox';
const WHOLE = [
  /^keys /i,
  new RegExp(`^(?:smembers|hgetall|hvals|hkeys) \\S+:(?:${OF_TASKS})$`, 'i'),
  new RegExp(`^[lz]range \\S+:(?:${OF_TASKS}) 0 -1\\b`, 'i'),
  new RegExp(`^zrangebyscore \\S+:(?:${OF_TASKS}) -inf \\+inf(?!.* limit )`, 'i'),
];

/**
 * Commands that read all that stands in a key with an element a task, or all keys; those of scripts too.
 * @param act while it lasts, commands are looked at
 */
export async function wholeReads(client: Redis, act: () => Promise<unknown>): Promise<readonly string[]> {
  const monitor = await client.monitor();
  const seen: string[] = [];
  monitor.on('monitor', (_time: string, words: readonly string[]) => seen.push(words.join(' ')));
  try {
    await act();
  } finally {
    monitor.disconnect();
  }
  if (seen.length === 0) throw new Error('Redis was asked for nothing');
  return seen.filter((command) => WHOLE.some((pattern) => pattern.test(command)));
}
