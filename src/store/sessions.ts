// What the servers of a fleet share about sessions of browsers: the secret that signs them, and those that were signed out.

import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import { toStoreError } from './store-error.ts';

export interface Sessions {
  /** What sessions are signed with. The first server that asks makes it; without it in Redis all sessions are over. */
  secret(): Promise<Buffer>;
  /** Whether a session was signed out, on any server. */
  isEnded(session: SessionName): Promise<boolean>;
  /** Ends a session: at once for this server, within a second for the others. */
  end(session: SessionName): Promise<void>;
}

export interface SessionName {
  /** Id of the API key that it stands for. */
  readonly key: string;
  /** When it is over in any case, in milliseconds since 1970. Two sessions of a key that end together are one. */
  readonly endsAt: number;
}

const SECRET_KEY = 'pf:session-secret';
const SECRET_BYTES = 32;
/**
 * Sorted set. Member `<key id>.<end>` with its end as score: this session was signed out. Member `<key id>` with a time as
 * score: all sessions of the key that end by then were.
 */
const ENDED_KEY = 'pf:sessions:ended';
/** Beyond so many, who signs out ends all sessions of that key: the set stays below some 10 MB, and no cookie works on. */
const MOST_ENDED = 100_000;
/** What Redis said is good for so long. */
const FRESH_MS = 1_000;
/** Sessions whose answers are kept; beyond it the oldest answer is forgotten, and asked for again. */
const MOST_KNOWN = 10_000;

interface Known<T> {
  /** By `performance.now()`. */
  readonly at: number;
  readonly value: Promise<T>;
}

/**
 * Every method rejects with PopfleetError `redis-unavailable` while Redis does not answer: a session of which nothing is known
 * is not let in.
 * @param client a connection of `openCommandConnection`
 * @param lastsMs how long a session lasts at most
 * @param mostEnded signed-out sessions that are kept singly
 */
export function createSessions(client: Redis, lastsMs: number, mostEnded = MOST_ENDED): Sessions {
  let secret: Known<Buffer> | undefined;
  const known = new Map<string, Known<boolean>>();

  async function readSecret(): Promise<Buffer> {
    const found = await client.get(SECRET_KEY);
    if (found !== null) return Buffer.from(found, 'hex');
    await client.set(SECRET_KEY, randomBytes(SECRET_BYTES).toString('hex'), 'NX');
    return Buffer.from((await client.get(SECRET_KEY)) ?? '', 'hex');
  }

  async function lookUp(session: SessionName): Promise<boolean> {
    const [single, all] = await client.zmscore(ENDED_KEY, nameOf(session), session.key);
    return single != null || (all != null && session.endsAt <= Number(all));
  }

  /** A failure is not kept. */
  function ask<T>(question: () => Promise<T>, forget: () => void): Known<T> {
    const value = question().catch((error: unknown) => {
      forget();
      throw toStoreError(error);
    });
    return { at: performance.now(), value };
  }

  function remember(name: string, answer: Known<boolean>): Promise<boolean> {
    known.delete(name); // so that it moves to the end of the order
    known.set(name, answer);
    if (known.size > MOST_KNOWN) known.delete(known.keys().next().value ?? '');
    return answer.value;
  }

  client.on('close', () => {
    // Another Redis, or an emptied one, may stand behind the connection that comes back.
    secret = undefined;
    known.clear();
  });

  return {
    secret() {
      if (!isFresh(secret)) {
        secret = ask(readSecret, () => {
          secret = undefined;
        });
      }
      return secret.value;
    },

    isEnded(session) {
      const name = nameOf(session);
      const answer = known.get(name);
      if (isFresh(answer)) return answer.value;
      const asked = ask(
        () => lookUp(session),
        () => known.delete(name),
      );
      return remember(name, asked);
    },

    async end(session) {
      const { key, endsAt } = session;
      try {
        const [, count] = await Promise.all([
          client.zremrangebyscore(ENDED_KEY, '-inf', Date.now()),
          client.zcard(ENDED_KEY),
        ]);
        // All that end later than now: a session that began just now ends last.
        const writing =
          count < mostEnded
            ? client.zadd(ENDED_KEY, endsAt, nameOf(session))
            : client.zadd(ENDED_KEY, 'GT', Date.now() + lastsMs, key);
        // Every member is over by then.
        await Promise.all([writing, client.pexpire(ENDED_KEY, lastsMs)]);
      } catch (error) {
        throw toStoreError(error);
      }
      void remember(nameOf(session), { at: performance.now(), value: Promise.resolve(true) });
    },
  };
}

function nameOf({ key, endsAt }: SessionName): string {
  return `${key}.${endsAt}`;
}

function isFresh<T>(known: Known<T> | undefined): known is Known<T> {
  return known !== undefined && performance.now() - known.at < FRESH_MS;
}
