// Lets pages of other origins read answers (CORS). Off unless origins are named; never with cookies.

import type { Context } from 'hono';
import { cors } from 'hono/cors';
import { addSecurityHeaders } from './answer.ts';
import type { AppEnv } from './app-env.ts';

const REQUEST_HEADERS = [
  'Authorization',
  'Content-Type',
  'Idempotency-Key',
  'Prefer',
  'Last-Event-ID',
  'Accept',
  'X-Request-Id',
  'traceparent',
];
const ANSWER_HEADERS = [
  'Location',
  'Retry-After',
  'Idempotent-Replayed',
  'Popfleet-Durability',
  'Preference-Applied',
  'RateLimit',
  'RateLimit-Policy',
  'X-Request-Id',
  'Link',
];
const PREFLIGHT_SECONDS = 600;

/**
 * @param origins exactly as browsers send them in `Origin`
 * @returns what answers a preflight request, and lets pages read any other answer
 */
export function allowOrigins(
  origins: readonly string[],
): (c: Context<AppEnv>, answer: () => Promise<Response>) => Promise<Response> {
  const allowed = new Set(origins);
  const withOrigin = cors({
    origin: [...origins],
    allowMethods: ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'],
    allowHeaders: REQUEST_HEADERS,
    exposeHeaders: ANSWER_HEADERS,
    maxAge: PREFLIGHT_SECONDS,
  });
  return async (c, answer) => {
    if (!allowed.has(c.req.header('origin') ?? '')) return answer();
    if (c.req.method === 'OPTIONS') {
      // The library answers a preflight, not `respond`, so its headers are set here.
      const headers = { 'X-Request-Id': c.get('requestId') };
      addSecurityHeaders(headers, c.get('isHttps'));
      for (const [name, value] of Object.entries(headers)) c.header(name, value);
    }
    const preflight = await withOrigin(c, async () => {
      c.res = await answer();
    });
    return preflight ?? c.res;
  };
}
