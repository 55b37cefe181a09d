// Places for requests that stay open long (long polls, event streams), shared so that no key can take all of them.

import { PopfleetError } from '../protocol/errors.ts';

export interface Admission {
  /**
   * Takes a place.
   * @param key id of the caller's API key; without keys callers cannot be distinguished, and only the total is bounded
   * @returns a function that gives the place back, to be called once
   * @throws PopfleetError `overloaded` when all are taken; `quota-exceeded` when this key has its half
   */
  enter(key: string | undefined): () => void;
  /** Places that are taken. */
  count(): number;
}

const RETRY_AFTER_SECONDS = 5;

/**
 * @param most places in all; a key may have half of them, rounded up
 * @param what plural name of what takes a place, such as "event streams"
 */
export function createAdmission(most: number, what: string): Admission {
  const mostOfKey = Math.ceil(most / 2);
  const byKey = new Map<string, number>();
  let count = 0;

  function refuse(code: 'overloaded' | 'quota-exceeded', message: string): never {
    throw new PopfleetError(code, message, { retryAfterSeconds: RETRY_AFTER_SECONDS });
  }

  return {
    enter(key) {
      if (count >= most) {
        refuse('overloaded', `This server has all the ${what} it can serve. Try again later.`);
      }
      const own = key === undefined ? 0 : (byKey.get(key) ?? 0);
      if (own >= mostOfKey) {
        refuse('quota-exceeded', `This key has ${own} ${what} open, half of what the server can serve.`);
      }
      count += 1;
      if (key === undefined) return () => void (count -= 1);
      byKey.set(key, own + 1);
      return () => {
        count -= 1;
        const left = (byKey.get(key) ?? 0) - 1;
        if (left > 0) byKey.set(key, left);
        else byKey.delete(key);
      };
    },

    count: () => count,
  };
}
