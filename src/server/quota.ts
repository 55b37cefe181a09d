// How many tasks a caller may send in a time, counted in the memory of this server: several servers allow that much each.
// The headers are those of draft-ietf-httpapi-ratelimit-headers-11.

import { LRUCache } from 'lru-cache';
import { PopfleetError } from '../protocol/errors.ts';

export interface QuotaSettings {
  readonly tasks: number;
  readonly seconds: number;
}

interface Spent {
  /** For the answer, whatever it is. */
  readonly headers: Readonly<Record<string, string>>;
  /** `quota-exceeded` when nothing was taken. */
  readonly error: PopfleetError | undefined;
}

export interface Quota {
  /** Takes so many tasks from what a caller has left: all of them or none. */
  take(caller: string, tasks: number): Spent;
}

/** A token bucket: it holds a whole quota and fills up evenly. */
interface Bucket {
  left: number;
  /** When `left` was right. */
  at: number;
}

/** Beyond it the one that was idle the longest, and so is the fullest, is forgotten. */
const MOST_CALLERS = 10_000;

/** @param now milliseconds of a clock that never goes back */
export function createQuota(
  { tasks: most, seconds }: QuotaSettings,
  now: () => number = () => performance.now(),
): Quota {
  const perSecond = most / seconds;
  const policy = `"enqueue";q=${most};w=${seconds}`;
  const buckets = new LRUCache<string, Bucket>({ max: MOST_CALLERS });

  function bucketOf(caller: string): Bucket {
    const at = now();
    const bucket = buckets.get(caller) ?? { left: most, at };
    bucket.left = Math.min(most, bucket.left + ((at - bucket.at) / 1_000) * perSecond);
    bucket.at = at;
    buckets.set(caller, bucket);
    return bucket;
  }

  return {
    take(caller, tasks) {
      const bucket = bucketOf(caller);
      const isEnough = tasks <= bucket.left;
      if (isEnough) bucket.left -= tasks;
      // What would never fit waits for a full bucket, to be sent in smaller parts.
      const wanted = isEnough ? most : Math.min(tasks, most);
      const waitSeconds = Math.ceil((wanted - bucket.left) / perSecond);
      return {
        headers: {
          'RateLimit-Policy': policy,
          RateLimit: `"enqueue";r=${Math.floor(bucket.left)};t=${waitSeconds}`,
        },
        error: isEnough ? undefined : exceeded(tasks, { tasks: most, seconds }, waitSeconds),
      };
    },
  };
}

function exceeded(
  tasks: number,
  { tasks: most, seconds }: QuotaSettings,
  waitSeconds: number,
): PopfleetError {
  const advice = tasks > most ? `Send at most ${most} in one request.` : `Try again in ${waitSeconds} s.`;
  return new PopfleetError(
    'quota-exceeded',
    `A caller may send ${most} tasks in ${seconds} s (ENQUEUE_QUOTA). ${advice}`,
    { retryAfterSeconds: Math.max(1, waitSeconds) },
  );
}
