// Sessions of browsers: a cookie that stands for a key and ends with it. It is signed with a secret of the fleet, so every
// server can check it, and the entries for keys do not suffice to make one. Only sessions that were signed out are stored.

import { createHmac, timingSafeEqual } from 'node:crypto';
import type { SessionName } from '../../store/sessions.ts';
import type { ApiKey, Keyring } from './api-keys.ts';

export const SESSION_MS = 12 * 3_600_000;

/** @returns `<id>.<expiry>.<HMAC of both>`; the expiry in milliseconds since 1970 */
export function issueSession({ id, digest }: ApiKey, now: number, secret: Buffer): string {
  const claim = `${id}.${now + SESSION_MS}`;
  return `${claim}.${sign(claim, digest, secret).toString('base64url')}`;
}

export interface Session {
  readonly key: ApiKey;
  readonly name: SessionName;
}

/** The key of a session token; `undefined` when it is invalid or over. Whether it was signed out is not checked. */
export function verifySession(
  keyring: Keyring,
  token: string,
  now: number,
  secret: Buffer,
): Session | undefined {
  const [id = '', expiry = '', mac = ''] = token.split('.', 3);
  const key = keyring.find(id);
  const claim = `${id}.${expiry}`;
  const expected = sign(claim, key.digest, secret);
  const given = Buffer.from(mac, 'base64url');
  const matches = given.length === expected.length && timingSafeEqual(given, expected);
  const until = /^\d{1,15}$/.test(expiry) ? Number(expiry) : 0;
  const isOver = now >= until || until > now + SESSION_MS;
  if (!matches || isOver || token !== `${claim}.${mac}`) return undefined;
  return { key, name: { key: key.id, endsAt: until } };
}

export interface SessionCookie {
  readonly name: string;
  /** Values of `Set-Cookie`. */
  set(token: string): string;
  clear(): string;
}

/**
 * @param isHttps whether browsers use https; they then refuse this cookie over http, at the root also from a sibling host
 * @param basePath path under which browsers reach the server: other paths of that host do not get the cookie. The prefix
 *   `__Host-` is for the root alone (RFC 6265bis, section 4.1.3.2)
 */
export function createSessionCookie(isHttps: boolean, basePath: string): SessionCookie {
  const prefix = basePath === '' ? '__Host-' : '__Secure-';
  const name = isHttps ? `${prefix}popfleet` : 'popfleet';
  const attributes = `Path=${basePath || '/'}; HttpOnly; SameSite=Strict${isHttps ? '; Secure' : ''}`;
  return {
    name,
    set: (token) => `${name}=${token}; Max-Age=${SESSION_MS / 1_000}; ${attributes}`,
    clear: () => `${name}=; Max-Age=0; ${attributes}`,
  };
}

function sign(claim: string, digest: Buffer, secret: Buffer): Buffer {
  return createHmac('sha256', secret).update(digest).update(claim).digest();
}
