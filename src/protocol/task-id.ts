// Task ids: UUIDv7 (RFC 9562), time ordered, in their 36-character text form.

import { randomFillSync } from 'node:crypto';
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
  return toText(lastMs, sequence, random);
}

/**
 * The layout of a UUIDv7 (RFC 9562, section 5.7): 48 bits of time, the version, the upper 12 bits of the sequence, the
 * variant, its lower 20 bits, and 42 random bits.
 * @param seq 32 bits
 * @param bytes 16 random ones, which become the id
 */
function toText(msecs: number, seq: number, bytes: Buffer): string {
  bytes.writeUIntBE(msecs, 0, 6);
  bytes.writeUInt16BE(0x7000 | (seq >>> 20), 6);
  bytes.writeUInt16BE(0x8000 | ((seq >>> 6) & 0x3fff), 8);
  bytes.writeUInt8(((seq & 0x3f) << 2) | (bytes.readUInt8(10) & 0x03), 10);
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
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
