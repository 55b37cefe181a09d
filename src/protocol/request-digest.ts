// The digest that shows whether two requests with one idempotency key are the same.

import { createHash } from 'node:crypto';
import { encodeCbor } from './cbor.ts';

/** Digest of a plain value, whatever the order of its keys: 32 hexadecimal digits. */
export function requestDigest(value: unknown): string {
  return createHash('sha256')
    .update(encodeCbor(sorted(value)))
    .digest('hex')
    .slice(0, 32);
}

/** Accepted values are at most 64 levels deep, so recursion is safe. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
  const entries = Object.entries(value).filter(([, child]) => child !== undefined);
  return Object.fromEntries(
    entries.sort(([one], [other]) => (one < other ? -1 : 1)).map(([key, child]) => [key, sorted(child)]),
  );
}
