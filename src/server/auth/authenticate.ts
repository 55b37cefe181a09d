// Finds the caller of a request. Every path needs a key unless its operation is public, also one without a route.

import { getConnInfo } from '@hono/node-server/conninfo';
import type { Context } from 'hono';
import { getCookie } from 'hono/cookie';
import type { Soon } from '../../lifecycle.ts';
import { PopfleetError } from '../../protocol/errors.ts';
import type { AppEnv } from '../app-env.ts';
import { ANYONE, type Caller } from '../caller.ts';
import { callerOf, type Keyring } from './api-keys.ts';
import type { Failures } from './failures.ts';
import type { Sessions } from '../../store/sessions.ts';
import { type Session, type SessionCookie, verifySession } from './session.ts';

export const SESSION_PATH = '/v1/session';

/** The caller of a public path without a key: it has no scope. */
const NO_SCOPES: Caller = { key: undefined, scopes: new Set(), queues: new Set() };

export interface Identity {
  readonly caller: Caller;
  /** True without a bearer key: browsers send a cookie, or nothing, by themselves for any site, but never a bearer key. */
  readonly by: 'bearer' | 'cookie' | 'nothing';
  /** Checks the session of a cookie. @throws PopfleetError `redis-unavailable` */
  readonly isSignedIn?: () => Promise<boolean>;
}

export interface AuthenticateDeps {
  readonly keyring: Keyring;
  readonly cookie: SessionCookie;
  readonly failures: Failures;
  readonly sessions: Sessions;
}

/**
 * Finds the caller of a request.
 * @param isPublic whether the path needs no key
 * @throws PopfleetError `unauthenticated`, the same for every reason; `quota-exceeded` after many wrong keys
 */
export function authenticate(
  c: Context<AppEnv>,
  deps: AuthenticateDeps,
  isPublic: (method: string, path: string) => boolean,
): Soon<Identity> {
  const { keyring, cookie, failures } = deps;
  if (keyring.isEmpty) return { caller: ANYONE, by: 'nothing' };
  if (isPublic(c.req.method, c.req.path)) return { caller: NO_SCOPES, by: 'nothing' };
  const bearer = /^bearer +(.+)$/i.exec(c.req.header('authorization') ?? '')?.[1];
  if (bearer !== undefined) {
    return { caller: callerOf(keyring.verify(bearer) ?? refuseKey(c, failures)), by: 'bearer' };
  }
  if (getCookie(c, cookie.name) !== undefined) return byCookie(c, deps);
  // A request without any key is no guess of one, and is not counted.
  throw unauthenticated();
}

async function byCookie(c: Context<AppEnv>, deps: AuthenticateDeps): Promise<Identity> {
  const session = await sessionOf(c, deps);
  const isSignedIn = async (): Promise<boolean> => (await sessionOf(c, deps)) !== undefined;
  return { caller: callerOf(session?.key ?? refuseKey(c, deps.failures)), by: 'cookie', isSignedIn };
}

/**
 * The session that the cookie of a request stands for.
 * @returns `undefined` when there is none, it is over, or it was signed out
 * @throws PopfleetError `redis-unavailable`
 */
export async function sessionOf(
  c: Context<AppEnv>,
  { keyring, cookie, sessions }: AuthenticateDeps,
): Promise<Session | undefined> {
  const token = getCookie(c, cookie.name);
  if (token === undefined) return undefined;
  const session = verifySession(keyring, token, Date.now(), await sessions.secret());
  return session && !(await sessions.isEnded(session.name)) ? session : undefined;
}

/** @throws PopfleetError always: `unauthenticated`, or `quota-exceeded` after many wrong keys from this address */
export function refuseKey(c: Context<AppEnv>, failures: Failures): never {
  noteFailure(c, failures);
  throw unauthenticated();
}

/**
 * Counts a wrong key, or a sign-in that cannot even be read, against the address that it came from.
 * @throws PopfleetError `quota-exceeded` after many
 */
export function noteFailure(c: Context<AppEnv>, failures: Failures): void {
  const retryAfterSeconds = failures.note(getConnInfo(c).remote.address ?? '');
  if (retryAfterSeconds === undefined) return;
  throw new PopfleetError('quota-exceeded', 'Too many wrong keys came from this address.', {
    retryAfterSeconds,
  });
}

function unauthenticated(): PopfleetError {
  return new PopfleetError('unauthenticated', 'Send a valid API key as Authorization: Bearer <key>.');
}
