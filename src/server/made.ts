// What answers a call that makes a record, or finds the one that its idempotency key has made before.

import type { Context } from 'hono';
import { answer } from './answer.ts';
import type { AppEnv } from './app-env.ts';
import type { Operation, OperationAnswer, Schema } from './operation.ts';

/** @param body of the record, whose `links.self` becomes the `Location` */
export function answerMade(
  c: Context<AppEnv>,
  body: { readonly links: { readonly self: string } },
  isReplayed: boolean,
  more?: Readonly<Record<string, string>>,
): Response | Promise<Response> {
  const headers = { Location: body.links.self, ...c.get('rateLimit'), ...more };
  if (!isReplayed) return answer(c, 202, body, headers);
  return answer(c, 200, body, { ...headers, 'Idempotent-Replayed': 'true' });
}

/** The contract of such a call. @param one the record as it is answered */
export function madeContract(
  request: Schema,
  one: OperationAnswer,
): Pick<Operation, 'scope' | 'headers' | 'body' | 'answers'> {
  return {
    scope: 'enqueue',
    headers: { 'Idempotency-Key': 'As `key` of the body.' },
    body: { 'application/json': request, 'application/cbor': request },
    answers: {
      200: { ...one, description: 'Its key has made it before.' },
      202: { ...one, description: 'It was accepted.' },
    },
  };
}
