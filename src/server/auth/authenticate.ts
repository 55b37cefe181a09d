// Tells who calls. Every path needs a key unless it stands in the list below: also one that nothing is at.

import { getConnInfo } from '@hono/node-server/conninfo';
import type { Context } from 'hono';
import { getCookie } from 'hono/cookie';
import type { Soon } from '../../lifecycle.ts';
import { ERROR_CODES, PopfleetError } from '../../protocol/errors.ts';
import type { AppEnv } from '../app-env.ts';
import { ANYONE, type Caller } from '../caller.ts';
import { callerOf, type ApiKey, type Keyring } from './api-keys.ts';
import type { Failures } from './failures.ts';
import { type SessionCookie, verifySession } from './session.ts';

export const SESSION_PATH = '/v1/session';

/** What anyone may read, by exact path. */
export const PUBLIC_PATHS: ReadonlySet<string> = new Set([
  '/healthz',
  '/readyz',
  '/openapi.json',
  '/docs',
  '/docs/swagger-ui.css',
  '/docs/swagger-ui-bundle.js',
  '/docs/start.js',
  ...Object.keys(ERROR_CODES).map((code) => `/problems/${code}`),
]);

/** For paths that anyone may call: such a caller may do nothing anywhere else. */
const NOBODY: Caller = { key: undefined, scopes: new Set(), queues: new Set() };

export interface Identity {
  readonly caller: Caller;
  /** A browser sends a cookie, or nothing, by itself and for any site; a bearer key it never does. */
  readonly by: 'bearer' | 'cookie' | 'nothing';
}

export interface AuthenticateParts {
  readonly keyring: Keyring;
  readonly cookie: SessionCookie;
  readonly failures: Failures;
  /** @throws PopfleetError `redis-unavailable` */
  readonly sessionSecret: () => Promise<Buffer>;
}

/**
 * Says who calls.
 * @throws PopfleetError `unauthenticated`, the same for every reason; `quota-exceeded` after many wrong keys
 */
export function authenticate(c: Context<AppEnv>, parts: AuthenticateParts): Soon<Identity> {
  const { keyring, cookie, failures } = parts;
  if (keyring.isEmpty) return { caller: ANYONE, by: 'nothing' };
  if (isPublic(c.req.method, c.req.path)) return { caller: NOBODY, by: 'nothing' };
  const bearer = /^bearer +(.+)$/i.exec(c.req.header('authorization') ?? '')?.[1];
  if (bearer !== undefined) {
    return { caller: callerOf(keyring.verify(bearer) ?? refuseKey(c, failures)), by: 'bearer' };
  }
  const token = getCookie(c, cookie.name);
  if (token !== undefined) return byCookie(c, token, parts);
  // Who sends nothing guesses nothing, and is not counted.
  throw unauthenticated();
}

async function byCookie(
  c: Context<AppEnv>,
  token: string,
  { keyring, failures, sessionSecret }: AuthenticateParts,
): Promise<Identity> {
  const key = verifySession(keyring, token, Date.now(), await sessionSecret());
  return { caller: callerOf(key ?? refuseKey(c, failures)), by: 'cookie' };
}

/** @throws PopfleetError always */
export function refuseKey(c: Context<AppEnv>, failures: Failures): ApiKey {
  const retryAfterSeconds = failures.note(getConnInfo(c).remote.address ?? '');
  if (retryAfterSeconds === undefined) throw unauthenticated();
  throw new PopfleetError('quota-exceeded', 'Too many wrong keys came from this address.', {
    retryAfterSeconds,
  });
}

function unauthenticated(): PopfleetError {
  return new PopfleetError('unauthenticated', 'Send a valid API key as Authorization: Bearer <key>.');
}

function isPublic(method: string, path: string): boolean {
  if (method === 'GET' || method === 'HEAD') return PUBLIC_PATHS.has(path);
  return method === 'POST' && path === SESSION_PATH;
}
