// What `context.checkpoint` keeps: CBOR of the value, and behind it, when the handler had made children without a key by then, CBOR of how
// many (a sequence, RFC 8742). So a run that goes on from there counts on, and its next child is the same as in a run before.

import { decodeTrusted, encodeCbor } from '../../protocol/cbor.ts';
import { scanCbor } from '../../protocol/cbor-scan.ts';
import { faultText, toPlain } from '../../protocol/plain-value.ts';

interface Kept {
  /** `undefined`: it is no plain value, so not written by popfleet. */
  readonly value: unknown;
  /** Children without a key that were made before. */
  readonly spawned: number;
}

const NOTHING = new Uint8Array(0);

/**
 * Gives the bytes a buffer of their own; empty bytes for `undefined`.
 * @throws TypeError for what JSON or CBOR would lose, RangeError for what is too large
 */
export function writeKept(value: unknown, spawned: number, limitBytes: number): Uint8Array {
  if (value === undefined) return NOTHING;
  const plain = toPlain(value);
  if ('fault' in plain) throw new TypeError(`the checkpoint cannot be kept: ${faultText(plain.fault, 'it')}`);
  const bytes = Uint8Array.from(encodeCbor(plain.value));
  if (bytes.length > limitBytes) {
    throw new RangeError(
      `the checkpoint has ${bytes.length} bytes, ${limitBytes} are allowed: store it elsewhere and keep where`,
    );
  }
  return spawned === 0 ? bytes : Uint8Array.from(Buffer.concat([bytes, Buffer.from(encodeCbor(spawned))]));
}

export function readKept(bytes: Uint8Array): Kept {
  try {
    const end = scanCbor(bytes);
    const value = decodeTrusted(bytes.subarray(0, end));
    const spawned = end < bytes.length ? decodeTrusted(bytes.subarray(end)) : 0;
    return { value, spawned: typeof spawned === 'number' ? spawned : 0 };
  } catch {
    return { value: undefined, spawned: 0 };
  }
}
