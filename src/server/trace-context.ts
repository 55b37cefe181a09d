// The caller's W3C trace context (https://www.w3.org/TR/trace-context/), carried to the handler.

import type { Context } from 'hono';
import { TRACEPARENT } from '../tracing.ts';
import type { AppEnv } from './app-env.ts';

/** The request's `traceparent`; one that is not valid is ignored, as the recommendation requires. */
export function traceparentOf(c: Context<AppEnv>): string | undefined {
  const given = c.req.header('traceparent');
  return given !== undefined && TRACEPARENT.test(given) ? given : undefined;
}
