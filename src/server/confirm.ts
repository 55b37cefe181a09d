// What shows that a caller has seen what an operation would do: the answer of a dry run has it, the operation itself needs it. It is
// signed with the secret that the servers share, so it is stored nowhere, and good on every server.

import { createHmac, timingSafeEqual } from 'node:crypto';
import { requestDigest } from '../protocol/request-digest.ts';
import { derivedTaskId } from '../protocol/task-id.ts';
import type { Action, OperationFilter } from '../store/operations.ts';

const CONFIRM_MS = 300_000;

/** What a token is good for. */
export interface Confirmed {
  readonly action: Action;
  readonly filter: OperationFilter;
  readonly to: string | undefined;
  /** Id of the API key of the caller; `undefined` where no keys are required. */
  readonly by: string | undefined;
}

/** @returns `<end>.<HMAC>`; the end in milliseconds since 1970 */
export function issueConfirm(what: Confirmed, now: number, secret: Buffer): string {
  const end = now + CONFIRM_MS;
  return `${end}.${sign(what, end, secret).toString('base64url')}`;
}

/**
 * Whether a token was issued for this, and is good now.
 * @param secret is asked only for what looks like a token
 */
export async function isConfirmed(
  token: string,
  what: Confirmed,
  now: number,
  secret: () => Promise<Buffer>,
): Promise<boolean> {
  const [, end = '', mac = ''] = /^(\d{1,15})\.([\w-]{43})$/.exec(token) ?? [];
  if (now >= Number(end)) return false;
  const expected = sign(what, Number(end), await secret());
  const given = Buffer.from(mac, 'base64url');
  return given.length === expected.length && timingSafeEqual(given, expected);
}

/**
 * The id of the operation that a request with this token makes: the same request sent again, because its answer was lost, finds the
 * operation of the first.
 */
export function idOfConfirmed(token: string, request: object): string {
  return derivedTaskId(Number.parseInt(token, 10) - CONFIRM_MS, `${token} ${requestDigest(request)}`);
}

function sign(what: Confirmed, end: number, secret: Buffer): Buffer {
  return createHmac('sha256', secret)
    .update(`confirm ${end} ${requestDigest(what)}`)
    .digest();
}
