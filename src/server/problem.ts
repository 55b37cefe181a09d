// Problem documents (RFC 9457): every error answer of the server has this shape.

import type { Context } from 'hono';
import { ERROR_CODES, PopfleetError } from '../protocol/errors.ts';
import { respond } from './answer.ts';
import type { AppEnv } from './app-env.ts';

/** Media types of request bodies (RFC 9110, section 12.5.1: `Accept` in an answer). */
const ACCEPTED = 'application/json, application/cbor';
/** A caller's own request id need not be a UUID. */
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Turns a PopfleetError into its answer, which never has a stack, a rejected input or a message of Redis. */
export function problemAnswer(
  c: Context<AppEnv>,
  error: PopfleetError,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const { status, title } = ERROR_CODES[error.code];
  const requestId = c.get('requestId');
  const body = {
    ...error.extensions,
    type: `${c.get('basePath')}/problems/${error.code}`,
    title,
    status,
    detail: error.message,
    ...(UUID.test(requestId) ? { instance: `urn:uuid:${requestId}` } : {}),
    code: error.code,
    requestId,
    ...(error.faults.length > 0 ? { errors: error.faults } : {}),
    ...(error.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: error.retryAfterSeconds }),
  };
  return respond(c, status, JSON.stringify(body), {
    'Content-Type': 'application/problem+json',
    ...(error.retryAfterSeconds === undefined ? {} : { 'Retry-After': String(error.retryAfterSeconds) }),
    ...(error.code === 'unsupported-media-type' ? { Accept: ACCEPTED } : {}),
    ...(error.code === 'quota-exceeded' ? c.get('rateLimit') : {}),
    ...(error.code === 'unauthenticated' ? { 'WWW-Authenticate': 'Bearer' } : {}),
    ...headers,
  });
}

/** Turns anything thrown into a PopfleetError. Other errors are faults of the server: the log has their details. */
export function toPopfleetError(thrown: unknown): PopfleetError {
  if (thrown instanceof PopfleetError) return thrown;
  return new PopfleetError('internal', 'popfleet failed. The log of the server has the cause.', {
    cause: thrown,
  });
}
