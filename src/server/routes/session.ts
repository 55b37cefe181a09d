// Signing in and out of a browser, and what the caller's key allows.

import type { Context } from 'hono';
import * as v from 'valibot';
import { PopfleetError } from '../../protocol/errors.ts';
import { validate } from '../../protocol/validate.ts';
import { answer, respond } from '../answer.ts';
import type { AppEnv } from '../app-env.ts';
import {
  type AuthenticateDeps,
  noteFailure,
  refuseKey,
  SESSION_PATH,
  sessionOf,
} from '../auth/authenticate.ts';
import { issueSession } from '../auth/session.ts';
import { mediaTypeOf, readBody } from '../body.ts';
import { SCOPES } from '../caller.ts';
import { named } from '../../views/component.ts';
import { type Operation, type Route, route } from '../operation.ts';

/** Largest body, in bytes. A key has some 60 bytes; the body is read before the caller is known, so it is small. */
const SIGN_IN_LIMIT_BYTES = 1_024;

const SignInSchema = v.strictObject({
  key: v.pipe(
    v.string('must be a text'),
    v.minLength(1, 'must not be empty'),
    v.maxLength(256, 'is too long'),
  ),
});
const CallerSchema = v.object({
  key: v.optional(
    v.pipe(v.string(), v.description('Id of the API key; missing where no keys are asked for.')),
  ),
  scopes: v.array(v.picklist(SCOPES)),
  queues: v.optional(v.pipe(v.array(v.string()), v.description('Queues the key is for; missing = all.'))),
});

/** What a key allows, as its caller sees it. */
export type CallerView = v.InferOutput<typeof CallerSchema>;

const SIGN_IN: Operation = {
  id: 'signIn',
  tag: 'session',
  summary: 'Sign in a browser',
  description: 'Answers a cookie that stands for the key for 12 hours. Programs send the key itself instead.',
  scope: 'public',
  body: { 'application/json': SignInSchema },
  answers: { 204: { description: 'Signed in' } },
  problems: [
    'unauthenticated',
    'cross-site',
    'quota-exceeded',
    'malformed-body',
    'invalid-input',
    'too-large',
    'unsupported-media-type',
  ],
};
const SIGN_OUT: Operation = {
  id: 'signOut',
  tag: 'session',
  summary: 'Sign out a browser',
  description: 'The cookie is of no use any more: at once on this server, within a second on the others.',
  scope: 'any',
  answers: { 204: { description: 'Signed out' } },
  problems: ['cross-site'],
};
const GET_SESSION: Operation = {
  id: 'getSession',
  tag: 'session',
  summary: 'What the key of the caller allows',
  scope: 'any',
  answers: { 200: { description: 'The key', schema: named('Session', CallerSchema) } },
};

/** `POST`, `GET` and `DELETE /v1/session`. */
export function sessionRoutes(parts: AuthenticateDeps): readonly Route[] {
  const { keyring, cookie, failures, sessions } = parts;

  /** @throws PopfleetError; a body that cannot be read counts like a wrong key */
  async function readKey(c: Context<AppEnv>): Promise<string> {
    try {
      demandJson(c);
      return validate(SignInSchema, await readBody(c, SIGN_IN_LIMIT_BYTES)).key;
    } catch (error) {
      noteFailure(c, failures);
      throw error;
    }
  }

  return [
    route('POST', SESSION_PATH, SIGN_IN, async (c) => {
      const key = keyring.verify(await readKey(c)) ?? refuseKey(c, failures);
      const session = issueSession(key, Date.now(), await sessions.secret());
      return respond(c, 204, null, { 'Set-Cookie': cookie.set(session) });
    }),
    route('GET', SESSION_PATH, GET_SESSION, (c) => {
      const { key, scopes, queues } = c.get('caller');
      return answer(c, 200, {
        ...(key === undefined ? {} : { key }),
        scopes: [...scopes],
        ...(queues ? { queues: [...queues] } : {}),
      });
    }),
    route('DELETE', SESSION_PATH, SIGN_OUT, async (c) => {
      const session = keyring.isEmpty ? undefined : await sessionOf(c, parts);
      if (session) await sessions.end(session.name);
      return respond(c, 204, null, { 'Set-Cookie': cookie.clear() });
    }),
  ];
}

/** A page of another site cannot send JSON without a preflight. */
function demandJson(c: Context<AppEnv>): void {
  if (mediaTypeOf(c) !== 'application/json') {
    throw new PopfleetError('unsupported-media-type', 'Send Content-Type: application/json.');
  }
}
