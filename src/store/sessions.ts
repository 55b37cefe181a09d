// What the servers of a fleet share about sessions of browsers: the secret that signs them, and those that were signed out.

import { randomBytes } from 'node:crypto';
import type { Redis } from 'ioredis';
import { LRUCache } from 'lru-cache';
import { withStoreErrors } from './store-error.ts';

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
/** Sessions whose answers are kept; beyond it the answer that was idle the longest is forgotten, and asked for again. */
const MOST_KNOWN = 10_000;

/**
 * Every method rejects with PopfleetError `redis-unavailable` while Redis does not answer: a session of which nothing is known
 * is not let in.
 * @param client a connection of `openCommandConnection`
 * @param lastsMs how long a session lasts at most
 * @param mostEnded signed-out sessions that are kept singly
 */
export function createSessions(client: Redis, lastsMs: number, mostEnded = MOST_ENDED): Sessions {
  const secrets = new LRUCache<string, Promise<Buffer>>({ max: 1, ttl: FRESH_MS });
  const ended = new LRUCache<string, Promise<boolean>>({ max: MOST_KNOWN, ttl: FRESH_MS });

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

  client.on('close', () => {
    // Another Redis, or an emptied one, may stand behind the connection that comes back.
    secrets.clear();
    ended.clear();
  });

  return withStoreErrors<Sessions>({
    secret: () => remembered(secrets, SECRET_KEY, readSecret),
    isEnded: (session) => remembered(ended, nameOf(session), () => lookUp(session)),

    async end(session) {
      const { key, endsAt } = session;
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
      ended.set(nameOf(session), Promise.resolve(true));
    },
  });
}

function nameOf({ key, endsAt }: SessionName): string {
  return `${key}.${endsAt}`;
}

/** The answer that is kept, or a new one; a failure is not kept. */
function remembered<Value>(
  answers: LRUCache<string, Promise<Value>>,
  name: string,
  ask: () => Promise<Value>,
): Promise<Value> {
  const known = answers.get(name);
  if (known) return known;
  const asked = ask();
  answers.set(name, asked);
  asked.catch(() => answers.delete(name));
  return asked;
}
