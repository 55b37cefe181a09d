// The caller's W3C trace context (https://www.w3.org/TR/trace-context/), carried to the handler.

import type { Context } from 'hono';
import type { AppEnv } from './app-env.ts';

const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/** The request's `traceparent`; one that is not valid is ignored, as the recommendation requires. */
export function traceparentOf(c: Context<AppEnv>): string | undefined {
  const given = c.req.header('traceparent');
  return given !== undefined && TRACEPARENT.test(given) ? given : undefined;
}
