// Encodes and decodes plain CBOR (RFC 8949), readable by any CBOR library.

import { Decoder, Encoder, type Options } from 'cbor-x/encode';
import { CborFault, DEFAULT_SCAN_LIMITS, type ScanLimits, scanCbor } from './cbor-scan.ts';

// Without these the library writes extensions of its own: records (tag 105), fixed map sizes and typed-array tags.
// `int64AsNumber` is read by the decoder but missing in its types; `scanCbor` has refused what a number cannot hold.
const PLAIN: Options & { int64AsNumber: boolean } = {
  useRecords: false,
  mapsAsObjects: true,
  variableMapSize: true,
  tagUint8Array: false,
  int64AsNumber: true,
};
const encoder = new Encoder(PLAIN);
const decoder = new Decoder(PLAIN);

/**
 * Encodes a value of plain types.
 * @returns a slice of a larger pooled buffer: it may be kept, but must be copied before it is handed to a thread.
 * @throws Error when a value has no plain form (a function, a symbol, a cycle).
 */
export function encodeCbor(value: unknown): Buffer {
  return encoder.encode(value);
}

/**
 * Decodes untrusted bytes. Byte strings in the answer are views on `bytes`.
 * @throws CborFault when the bytes are not one plain item within `limits`.
 */
export function decodeCbor(bytes: Uint8Array, limits: ScanLimits = DEFAULT_SCAN_LIMITS): unknown {
  const end = scanCbor(bytes, 0, limits);
  if (end !== bytes.length) throw new CborFault('bytes follow the value', end);
  return decodeTrusted(bytes);
}

/** Decodes a value that is stored in Redis; `undefined` when it is no plain value, so not written by popfleet. */
export function decodeStored(bytes: Uint8Array): unknown {
  try {
    return decodeCbor(bytes);
  } catch {
    return undefined;
  }
}

/** Decodes bytes that this program wrote or has scanned already. */
export function decodeTrusted(bytes: Uint8Array): unknown {
  try {
    return decoder.decode(bytes);
  } catch (error) {
    throw new CborFault(
      `the bytes cannot be decoded (${error instanceof Error ? error.message : 'unknown'})`,
      0,
    );
  }
}
