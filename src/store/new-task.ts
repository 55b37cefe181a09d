// A task on its way to Redis.

import type { Lane } from '../protocol/lane.ts';

export interface NewTask {
  readonly id: string;
  /** As `encodeContent` made it. */
  readonly content: Buffer;
  readonly lane: Lane;
  readonly extras?: TaskExtras | undefined;
}

/** What most tasks do without; lua/lib/extras.lua reads these names. Times of day are milliseconds since 1970. */
export interface TaskExtras {
  readonly delayMs?: number | undefined;
  readonly runAt?: number | undefined;
  /** Not started for this long, or by then, it is dead. */
  readonly ttlMs?: number | undefined;
  readonly expiresAt?: number | undefined;
  /** How long it is kept once it has ended, whichever way it ends. */
  readonly resultTtlMs?: number | undefined;
  readonly key?: IdempotencyKey | undefined;
  /** What it is found by, as `writeTerms` writes it. */
  readonly terms?: string | undefined;
  /** What follows its end, as `writeFollower` writes it: one or more, with blanks between. */
  readonly follower?: string | undefined;
  /** The workflow whose step it is, and the milliseconds within which that has to be committed. */
  readonly step?: NewStep | undefined;
  readonly confirmWithinMs?: number | undefined;
  /** The entry of an outbox that it follows: the same task is accepted once for it. */
  readonly mark?: string | undefined;
}

/** Of which workflow a task is a step, as lua/lib/steps.lua reads it. */
interface NewStep {
  readonly is_held: true;
  readonly generation: number;
  /** Home queue of the workflow. */
  readonly home: string;
  readonly workflow: string;
  readonly name: string;
}

export interface IdempotencyKey {
  readonly key: string;
  readonly windowMs: number;
  /** Digest of the request: the same key with another one is a conflict. */
  readonly digest: string;
}
