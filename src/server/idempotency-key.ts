// The header `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07): the option `key` for callers that cannot put
// it into the body.

import type { Context } from 'hono';
import { PopfleetError } from '../protocol/errors.ts';
import { IDEMPOTENCY_KEY } from '../protocol/names.ts';
import type { AppEnv } from './app-env.ts';

/** A String of RFC 9651, section 3.3.3; escapes are only for the quote and the backslash. */
const QUOTED = /^"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/;

/**
 * The key in the header: quoted, as the draft requires, or bare, as many clients send it.
 * @throws PopfleetError `invalid-header`
 */
export function keyOfHeader(c: Context<AppEnv>): string | undefined {
  const given = c.req.header('idempotency-key');
  if (given === undefined) return undefined;
  const quoted = QUOTED.exec(given)?.[1]?.replace(/\\(.)/g, '$1');
  const key = quoted ?? (given.startsWith('"') ? '' : given);
  if (IDEMPOTENCY_KEY.test(key)) return key;
  throw new PopfleetError(
    'invalid-header',
    'Idempotency-Key must be 1 to 255 printable ASCII characters without blanks, in double quotes or bare.',
  );
}

/**
 * A call with the key of its header, if it has one there.
 * @throws PopfleetError `invalid-header` when the body has another one
 */
export function withKeyOfHeader<Call extends { readonly key?: string | undefined }>(
  c: Context<AppEnv>,
  given: Call,
): Call {
  const key = sameKey(keyOfHeader(c), given.key);
  return key === undefined ? given : { ...given, key };
}

/**
 * The key of a call that may have one in its header, its body, or both.
 * @throws PopfleetError `invalid-header` when they differ
 */
export function sameKey(header: string | undefined, body: string | undefined): string | undefined {
  if (header === undefined || body === undefined || header === body) return header ?? body;
  throw new PopfleetError('invalid-header', 'Idempotency-Key and the `key` of the body must be the same.');
}
