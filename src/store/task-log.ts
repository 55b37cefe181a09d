// Reads what a handler has logged, as lua/lib/log.lua keeps it.

import type { Redis } from 'ioredis';
import { keyOf, type Place } from './keys.ts';
import { LOG_LINES_A_CHUNK, LOG_LINES_KEPT } from './record.ts';

/**
 * The last lines that the handler of a task has logged, at most `LOG_LINES_KEPT`, oldest first.
 * @throws Error of ioredis
 */
export async function readTaskLog(client: Redis, place: Place, id: string): Promise<string[]> {
  const lines = Number((await client.hget(keyOf(place, 'logs'), id)) ?? 0);
  const first = Math.max(0, Math.floor((lines - LOG_LINES_KEPT) / LOG_LINES_A_CHUNK));
  const chunks = Math.ceil(lines / LOG_LINES_A_CHUNK) - first;
  if (!(chunks > 0)) return [];
  const fields = Array.from({ length: chunks }, (_, at) => `${id}:${first + at}`);
  const texts = await client.hmgetBuffer(keyOf(place, 'log-lines'), ...fields);
  return texts.flatMap((text) => (text ? readChunk(text) : [])).slice(-LOG_LINES_KEPT);
}

/** Each line with its length in bytes in front. */
function readChunk(text: Buffer): string[] {
  const lines: string[] = [];
  for (let at = 0; at < text.length; ) {
    const from = text.indexOf(' ', at) + 1;
    const bytes = Number(text.toString('latin1', at, from));
    // Another program has spoilt it.
    if (from === 0 || !Number.isSafeInteger(bytes)) break;
    lines.push(text.toString('utf8', from, from + bytes));
    at = from + bytes;
  }
  return lines;
}
