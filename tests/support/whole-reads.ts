// Finds commands of Redis that cost more the more tasks there are.

import { connect } from 'node:net';
import { eventually } from './eventually.ts';

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
export async function wholeReads(redisUrl: string, act: () => Promise<unknown>): Promise<readonly string[]> {
  const monitor = await openMonitor(redisUrl);
  try {
    await act();
  } finally {
    monitor.end();
  }
  const seen = monitor.commands();
  if (seen.length === 0) throw new Error('Redis was asked for nothing');
  return seen.filter((command) => WHOLE.some((pattern) => pattern.test(command)));
}

interface Monitor {
  /** Their words, with blanks between. */
  commands(): readonly string[];
  end(): void;
}

/** On a socket of its own: that of ioredis fails where a command follows the reply to `MONITOR` at once. */
async function openMonitor(redisUrl: string): Promise<Monitor> {
  const { hostname, port } = new URL(redisUrl);
  const socket = connect(Number(port), hostname);
  let text = '';
  socket.setEncoding('utf8').on('data', (part: string) => (text += part));
  socket.write('MONITOR\r\n');
  await eventually(() => text.startsWith('+OK\r\n'));
  return {
    commands: () => text.split('\r\n').slice(1).filter(Boolean).map(wordsOf),
    end: () => socket.destroy(),
  };
}

/** Of a line such as `+1795712429.341 [0 127.0.0.1:33358] "hget" "key" "field"`. */
function wordsOf(line: string): string {
  return Array.from(line.matchAll(/"((?:[^"\\]|\\.)*)"/g), ([, word]) => word).join(' ');
}
