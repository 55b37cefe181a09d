// How many tasks a caller may send in a time, counted in the memory of this server: each of several servers allows that many.
// The headers are those of draft-ietf-httpapi-ratelimit-headers-11.

import { LRUCache } from 'lru-cache';
import { PopfleetError } from '../protocol/errors.ts';

export interface QuotaSettings {
  readonly tasks: number;
  readonly seconds: number;
}

interface Spent {
  /** Headers of the answer, whatever its status. */
  readonly headers: Readonly<Record<string, string>>;
  /** `quota-exceeded` when the tasks were not taken from the quota. */
  readonly error: PopfleetError | undefined;
}

export interface Quota {
  /** Takes this many tasks from the quota that a caller has left: all of them or none. */
  take(caller: string, tasks: number): Spent;
}

/** A token bucket: it holds a whole quota and fills up evenly. */
interface Bucket {
  left: number;
  /** When `left` was computed, in milliseconds of `now`. */
  at: number;
}

/** Most callers that are kept; beyond, the one idle the longest, whose bucket is the fullest, is forgotten. */
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
      // More tasks than the bucket holds never fit: the caller is to send smaller parts once the bucket is full.
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
