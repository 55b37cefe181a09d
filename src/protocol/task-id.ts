// Task ids: UUIDv7 (RFC 9562), time ordered, in their 36-character text form.

import { createHash, randomFillSync } from 'node:crypto';
import { v7 } from 'uuid';
import { TASK_ID } from './names.ts';

const ID_BYTES = 16;
/** Random bytes are fetched for many ids at once: fetching them for each took five times as long as the rest of an id. */
const pool = Buffer.alloc(256 * ID_BYTES);
let used = pool.length;
let lastMs = 0;
let sequence = 0;

/** A new id; ids made later by one process sort after earlier ones (RFC 9562, section 6.2, method 1). */
export function newTaskId(): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const random = pool.subarray(used, used + ID_BYTES);
  used += ID_BYTES;
  const now = Date.now();
  if (now > lastMs) {
    lastMs = now;
    // Half of the range is left for further ids of this millisecond.
    sequence = random.readUInt32BE(0) >>> 1;
  } else {
    sequence += 1;
  }
  return v7({ random, msecs: lastMs, seq: sequence });
}

/**
 * The id of a task that is made because of something, always the same for the same thing: a UUIDv7 (RFC 9562, section 5.7) whose
 * random bits are a hash.
 * @param msecs milliseconds since 1970
 * @param name what it is made for
 */
export function derivedTaskId(msecs: number, name: string): string {
  const random = createHash('sha256').update(name).digest().subarray(0, ID_BYTES);
  return v7({ msecs, random, seq: random.readUInt32BE(0) });
}

/**
 * The stored form of an id that a caller gives. Capital letters mean the same (RFC 9562, section 4).
 * @returns `undefined` when the text is no id
 */
export function readTaskId(text: string): string | undefined {
  const id = text.toLowerCase();
  return TASK_ID.test(id) ? id : undefined;
}

/** When an id was made, in milliseconds since 1970: the first 48 bits of a UUIDv7 (RFC 9562, section 5.7). */
export function timeOfTaskId(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}
