// Refuses what another web site makes a browser send (cross-site request forgery).

import type { Context } from 'hono';
import { PopfleetError } from '../../protocol/errors.ts';
import type { AppEnv } from '../app-env.ts';

const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * For requests that a browser may have sent by itself, without the knowledge of its user.
 * @param trustedOrigins pages of other sites that may do everything where no keys are required
 * @throws PopfleetError `cross-site` for a method that changes something, unless our own page or no page has sent it
 */
export function demandSameSite(c: Context<AppEnv>, trustedOrigins: readonly string[]): void {
  if (SAFE_METHODS.has(c.req.method)) return;
  if (trustedOrigins.includes(c.req.header('origin') ?? '')) return;
  const site = c.req.header('sec-fetch-site');
  // Programs send no Sec-Fetch-Site, and neither do old browsers, which send an Origin.
  const isOurs = site === undefined ? isOriginOurs(c) : site === 'same-origin' || site === 'none';
  if (!isOurs) {
    throw new PopfleetError('cross-site', 'A page of another site may not do this. Use a bearer key.');
  }
}

function isOriginOurs(c: Context<AppEnv>): boolean {
  const origin = c.req.header('origin');
  if (origin === undefined) return true;
  return URL.canParse(origin) && new URL(origin).host === c.req.header('host')?.toLowerCase();
}
