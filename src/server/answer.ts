// Writes answers in the format the caller asked for: JSON, or CBOR.

import type { Context } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { encodeCbor } from '../protocol/cbor.ts';
import type { AppEnv } from './app-env.ts';

/** Answers `value` as CBOR when `Accept` names it, otherwise as JSON. */
export function answer(c: Context<AppEnv>, status: ContentfulStatusCode, value: object): Response {
  c.header('Vary', 'Accept');
  if (c.req.header('accept')?.includes('application/cbor')) {
    c.header('Content-Type', 'application/cbor');
    return c.body(Uint8Array.from(encodeCbor(value)), status);
  }
  c.header('Content-Type', 'application/json');
  return c.body(JSON.stringify(value, plainForJson), status);
}

/** JSON has no byte strings: they become base64 (RFC 4648, section 4). */
function plainForJson(this: unknown, key: string, value: unknown): unknown {
  const original = (this as Record<string, unknown>)[key];
  return original instanceof Uint8Array ? Buffer.from(original).toString('base64') : value;
}
