// Writes answers in the format the caller asked for: JSON, or CBOR.

import type { Context } from 'hono';
import { encodeCbor } from '../protocol/cbor.ts';
import { toJsonText } from '../protocol/json-text.ts';
import { preferredMedia } from './preferred-media.ts';
import type { AppEnv } from './app-env.ts';

const FORMATS = ['application/json', 'application/cbor'] as const;
/** An `Accept` that this does not match accepts both formats alike: the answer is JSON. */
const NAMES_A_FORMAT = /cbor|json/i;

/** Answers `value` as CBOR when `Accept` prefers it, otherwise as JSON, also when `Accept` names neither. */
export function answer(
  c: Context<AppEnv>,
  status: number,
  value: object,
  headers: Readonly<Record<string, string>> = {},
): Response {
  if (wantsCbor(c)) {
    const bytes = Uint8Array.from(encodeCbor(value));
    return respond(c, status, bytes, { Vary: 'Accept', 'Content-Type': 'application/cbor', ...headers });
  }
  const text = toJsonText(value);
  return respond(c, status, text, { Vary: 'Accept', 'Content-Type': 'application/json', ...headers });
}

/** Parses the header only when it is there: few callers name a format. */
function wantsCbor(c: Context<AppEnv>): boolean {
  const accept = c.req.header('accept');
  if (accept === undefined || accept === 'application/json' || !NAMES_A_FORMAT.test(accept)) return false;
  return preferredMedia(accept, FORMATS) === 'application/cbor';
}

/**
 * Makes every answer of the server. Its headers are a plain object, which goes to the socket as it is: the methods of the
 * context would copy it into one of the platform's, at a tenth of what a whole request costs.
 */
export function respond(
  c: Context<AppEnv>,
  status: number,
  body: string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> | null,
  headers: Record<string, string>,
): Response {
  headers['X-Request-Id'] = c.get('requestId');
  addSecurityHeaders(headers, c.get('isHttps'));
  // While the server stops, a connection that is kept would be cut in the middle of a later request. Checked last: a request
  // that began before the stop (a long poll) must not keep its connection, and so the server, open.
  if (c.get('isStopping')()) headers['Connection'] = 'close';
  return new Response(body, { status, headers });
}

/** Headers that make browsers treat an answer as data only. A route may set its own policy and caching. */
export function addSecurityHeaders(headers: Record<string, string>, isHttps: boolean): void {
  headers['X-Content-Type-Options'] = 'nosniff';
  headers['Content-Security-Policy'] ??= "default-src 'none'; frame-ancestors 'none'";
  headers['Referrer-Policy'] = 'no-referrer';
  headers['Cross-Origin-Resource-Policy'] = 'same-origin';
  headers['Cache-Control'] ??= 'no-store';
  if (isHttps) headers['Strict-Transport-Security'] = 'max-age=31536000';
}
