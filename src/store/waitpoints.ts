// Tokens that somebody completes: what `POST /v1/waitpoints/{token}` and the library do.

import type { Redis } from 'ioredis';
import { encodeCbor } from '../protocol/cbor.ts';
import { PopfleetError } from '../protocol/errors.ts';
import { requestDigest } from '../protocol/request-digest.ts';
import { readToken } from '../protocol/token.ts';
import { placeOf } from './keys.ts';
import { withStoreErrors } from './store-error.ts';
import { completeSources } from './waits.ts';

/** @throws PopfleetError `redis-unavailable` when Redis does not answer */
export interface Waitpoints {
  /**
   * Completes a token with a plain value, before its task waits for it or while it does.
   * @param find finds its task among those that the caller may see
   * @returns that task, and whether the same payload had come before
   * @throws PopfleetError `not-found`; `invalid-state` when another payload has come before, the wait was over, or the task has ended
   */
  complete(
    token: string,
    payload: unknown,
    find: (id: string) => Promise<{ readonly queue: string; readonly id: string } | undefined>,
  ): Promise<{ readonly task: string; readonly isRepeat: boolean }>;
}

/** @param client a connection of `openCommandConnection` */
export function createWaitpoints(client: Redis): Waitpoints {
  const { complete } = withStoreErrors({
    async complete(queue: string, id: string, source: string, payload: unknown) {
      const value = payload === undefined ? undefined : encodeCbor(payload);
      const digest = requestDigest(payload ?? null);
      const completion = { id, source, word: 'succeeded', digest, value } as const;
      return (await completeSources(client, placeOf(queue, id), [completion]))[0];
    },
  });
  return {
    async complete(token, payload, find) {
      const read = readToken(token);
      const task = read && (await find(read.task));
      const answer = task && (await complete(task.queue, task.id, read.source, payload));
      if (!task || answer === undefined) throw noToken();
      switch (answer) {
        case 'conflict':
          throw refusal('The token was completed with another payload before, which counts.');
        case 'late':
          throw refusal('The time to wait for this token was over before: its task went on without it.');
        case 'ended':
          throw refusal('The task of this token has ended, and waits for nothing.');
        case 'unknown':
          throw noToken();
        case 'known':
        case 'noted':
        case 'ready':
        case 'waiting':
          return { task: task.id, isRepeat: answer === 'known' };
      }
    },
  };
}

const refusal = (message: string): PopfleetError => new PopfleetError('invalid-state', message);

function noToken(): PopfleetError {
  return new PopfleetError(
    'not-found',
    'There is no such token: no task that is there has made it with `context.token`.',
  );
}
