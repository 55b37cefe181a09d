// What `/v1` answers, as far as the dashboard shows it. Times are RFC 3339 texts. The API may add members and words.

import type { Hours } from './api-hours-types.d.ts';

export interface Queue {
  readonly queue: string;
  readonly paused: boolean;
  readonly pausedSince?: string;
  readonly pausedReason?: string;
  /** Tasks by state, and `accepted` and `removed`. */
  readonly counts: Readonly<Record<string, number>>;
  /** Length of each lane. */
  readonly ready: Readonly<Record<string, number>>;
  /** How long the task that waits for longest has been ready; missing: not known. */
  readonly oldestReadyMs?: number;
  /** Tasks among the dead whose kind of failure is ignored. */
  readonly deadIgnored?: number;
  readonly malformed: number;
  /** How many there were before those; missing: none. */
  readonly malformedDropped?: number;
  readonly workers: number;
  readonly outbox: { readonly length: number; readonly oldestMs: number };
}

/** What shows that a queue is whole, read at one moment. */
export interface Ledger {
  readonly queue: string;
  readonly at: string;
  readonly imbalance: number;
  readonly lanes: Readonly<Record<string, { readonly messages: number; readonly copies: number }>>;
  /** Messages that were popped and not claimed, and some of their tasks. */
  readonly unclaimed: {
    readonly count: number;
    readonly items: readonly { readonly id: string; readonly since: string }[];
  };
  readonly repaired: number;
  readonly returned: number;
  readonly stale: number;
  readonly malformed: number;
  readonly sweptAt?: string;
  readonly sweepAt?: string;
}

/** A worker in one of its queues. */
export interface Worker {
  readonly worker: string;
  readonly queue: string;
  readonly leaseUntil: string;
  readonly holds: number;
  readonly state: 'working' | 'quiet' | 'stopping';
  readonly host?: string;
  readonly pid?: number;
  readonly startedAt?: string;
  readonly version?: string;
  readonly concurrency?: number;
  readonly threads?: number;
  readonly types?: readonly string[];
}

/** A worker that was not heard of any more, in one of its queues. */
export interface LostWorker extends Pick<Worker, 'worker' | 'queue' | 'host' | 'pid' | 'version'> {
  /** When its lease ran out. */
  readonly leaseUntil: string;
  /** Tasks that it held then: they have gone back to their queue. */
  readonly held: number;
}

export interface TaskError {
  readonly name: string;
  readonly message: string;
  readonly code?: string;
  readonly stack?: string;
  readonly fingerprint?: string;
  readonly killCause?: string;
  readonly killLatencyMs?: number;
  readonly cause?: TaskError;
  readonly errors?: readonly TaskError[];
}

export interface TaskRow {
  readonly id: string;
  readonly type: string;
  readonly state: string;
  readonly queue: string;
  readonly priority: string;
  readonly attempt: number;
  readonly crashes: number;
  /** That runs it, or has run it last. */
  readonly worker?: string;
  readonly acceptedAt: string;
  readonly dueAt?: string;
  readonly startedAt?: string;
  readonly finishedAt?: string;
  readonly error?: TaskError;
  readonly tags?: readonly string[];
}

interface FailedAttempt {
  readonly claim: number;
  readonly worker: string;
  readonly startedAt: string;
  readonly endedAt: string;
  readonly error: TaskError;
}

export interface Task extends TaskRow {
  readonly input: unknown;
  readonly options?: Readonly<Record<string, unknown>> & { readonly maxAttempts?: number };
  readonly expiresAt?: string;
  readonly cancelRequestedAt?: string;
  readonly progress?: unknown;
  readonly result?: unknown;
  readonly errors: readonly FailedAttempt[];
  readonly schedule?: { readonly name: string; readonly due: string };
  readonly search?: Readonly<Record<string, string>>;
  readonly inputEditedAt?: string;
  /** `task`: id of the one that follows its latest end, also before that is accepted. */
  readonly onEnd?: { readonly type: string; readonly queue: string; readonly task?: string };
  readonly webhooks?: readonly TaskWebhook[];
  readonly cause?: { readonly id: string; readonly state: string };
  readonly parent?: { readonly task: string; readonly queue: string };
  /** The tasks that its handler has made, and how each has ended for this one. */
  readonly children?: readonly { readonly task: string; readonly queue: string; readonly state: string }[];
  readonly workflow?: { readonly id: string; readonly step: string };
  readonly traceparent?: string;
}

/** Who is told of the end of a task: a registered endpoint, or an address. */
export interface TaskWebhook {
  readonly endpoint?: string;
  readonly url?: string;
  readonly states?: readonly string[];
  /** Id of the task that tells of the latest end. */
  readonly delivery?: string;
}

export interface WebhookEndpoint {
  readonly id: string;
  readonly url: string;
  readonly states?: readonly string[];
  /** What it is told of; tasks, unless given. */
  readonly kinds?: readonly string[];
  readonly types?: readonly string[];
  readonly queues?: readonly string[];
  readonly createdAt: string;
  readonly disabled?: { readonly at: string; readonly reason: string };
  readonly oldSecretUntil?: string;
}

/** The newest first. */
export interface Secrets {
  readonly items: readonly { readonly secret: string; readonly until?: string }[];
}

/** One call to an endpoint. */
export interface DeliveryAttempt {
  /** Id of the task that delivers. */
  readonly delivery: string;
  /** What has ended: one of the three; none of a test. */
  readonly task?: string;
  readonly workflow?: string;
  readonly batch?: string;
  readonly event: string;
  readonly at: string;
  readonly durationMs: number;
  readonly status?: number;
  readonly error?: string;
}

export interface AuditEntry {
  readonly id: string;
  readonly at: string;
  readonly by?: string;
  readonly operation: string;
  readonly requestId: string;
  readonly target: Readonly<Record<string, string>>;
  readonly queue?: string;
  readonly facts: Readonly<Record<string, unknown>>;
}

export interface Reason {
  readonly code: string;
  readonly blocking: boolean;
  readonly message: string;
  readonly since?: string;
  readonly fix?: string;
}

export interface Explanation {
  readonly reasons: readonly Reason[];
  readonly ahead?: { readonly count: number; readonly capped: boolean };
}

export interface Schedule {
  readonly name: string;
  readonly queue: string;
  readonly type?: string;
  readonly input?: unknown;
  /** Instead of both: each tick starts it. */
  readonly workflow?: { readonly name?: string; readonly tasks: Readonly<Record<string, unknown>> };
  readonly cron?: string;
  readonly everyMs?: number;
  readonly timeZone?: string;
  readonly misfire?: string;
  readonly paused?: boolean;
  readonly next: readonly string[];
  readonly last?: { readonly due: string; readonly task?: string; readonly workflow?: string };
  readonly skipped?: { readonly count: number; readonly from: string; readonly until: string };
  readonly fault?: string;
}

/** A JSON Schema (2020-12), as far as the form reads it. */
export interface Schema {
  readonly type?: string | readonly string[];
  readonly title?: string;
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly default?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxLength?: number;
}

export interface TaskType {
  readonly type: string;
  readonly input: Schema;
  readonly defaults: Readonly<Record<string, unknown>> & { readonly queue?: string };
  readonly runIn: string;
}

export interface Session {
  /** Id of the API key; missing where no keys are asked for. */
  readonly key?: string;
  readonly scopes: readonly string[];
  /** Queues the key is for; missing = all. */
  readonly queues?: readonly string[];
}

/** A number a step, the oldest first; the last is of the few seconds before `at`. `null`: not known. */
type Column = readonly (number | null)[];

/** Milliseconds within which half, 95 % and 99 % of all lasted. */
type Percentiles = Readonly<Record<'p50' | 'p95' | 'p99', Column>>;

export interface Series {
  readonly range: '10m' | '1h' | '24h';
  readonly stepMs: number;
  readonly until: string;
  readonly at: string;
  readonly accepted: Column;
  readonly succeeded: Column;
  readonly failed: Column;
  readonly dead: Column;
  readonly scheduled: Column;
  readonly ready: Column;
  readonly running: Column;
  readonly waitMs: Column;
  readonly runMs: Column;
  readonly waits: Percentiles;
  readonly runs: Percentiles;
}

/** Failures of one fingerprint in one queue. */
export interface ErrorGroup {
  readonly fingerprint: string;
  readonly queue: string;
  readonly type?: string;
  readonly name: string;
  readonly message: string;
  /** Tasks that are dead of it now, and how often a task has died of it. */
  readonly dead: number;
  readonly total: number;
  readonly firstSeenAt: string;
  readonly lastSeenAt: string;
  /** By the hour, the newest last; a server of a release before has none. */
  readonly hours?: Hours;
  readonly attempts?: { readonly least: number; readonly most: number };
  /** A server of a release before has none. */
  readonly versions?: readonly string[];
  readonly sample: string;
  /** As long as it is. */
  readonly ignored?: { readonly until?: string; readonly untilTotal?: number };
}

export interface ErrorGroups extends Pick<ErrorGroup, 'dead' | 'total' | 'firstSeenAt' | 'lastSeenAt'> {
  readonly items: readonly ErrorGroup[];
}

type Act = 'retry' | 'cancel' | 'delete' | 'move';

/** What is done to many tasks, without what confirms it. */
export interface OperationCall {
  readonly action: Act;
  readonly filter: Readonly<Record<string, unknown>> & { readonly queue: string };
  readonly to?: string;
  readonly reason?: string;
  readonly first?: number;
  readonly stopAfterErrors?: number;
  readonly thenRest?: boolean;
}

type ByReason = Readonly<Record<string, number>>;

export interface Operation extends OperationCall {
  readonly id: string;
  readonly queue: string;
  readonly state: string;
  readonly by?: string;
  readonly matched: number;
  readonly done: number;
  readonly requested: number;
  readonly skipped: ByReason;
  readonly failed: ByReason;
  readonly watched?: Readonly<Record<'succeeded' | 'dead' | 'others', number>>;
  readonly createdAt: string;
  readonly startedAt?: string;
  readonly endedAt?: string;
  readonly ratePerSecond?: number;
  readonly etaMs?: number;
  /** The body that does it to the others. */
  readonly next?: OperationCall & { readonly confirm: string };
}

/** What a dry run says. */
export interface Match {
  readonly matched: { readonly value: number; readonly relation: string };
  readonly sample: readonly string[];
  readonly perState: Readonly<Record<string, number>>;
  /** A server of a release before has none. */
  readonly estimateSeconds?: number;
  readonly confirm: string;
}

export interface System {
  readonly server: {
    readonly version: string;
    readonly node: string;
    readonly host: string;
    readonly pid: number;
    readonly startedAt: string;
    readonly memoryBytes: number;
  };
  readonly fault?: string;
  readonly redis: Readonly<Record<'name' | 'version' | 'role' | 'maxmemoryPolicy', string>> &
    Readonly<Record<'appendOnly' | 'isSaved', boolean>> &
    Readonly<
      Record<
        | 'uptimeSeconds'
        | 'usedMemoryBytes'
        | 'maxmemoryBytes'
        | 'clients'
        | 'replicas'
        | 'commandsPerSecond'
        | 'latencyMs'
        | 'clockAheadMs',
        number
      >
    >;
  readonly limits: Readonly<Record<string, number>>;
}

export interface Items<T> {
  readonly items: readonly T[];
  /** Cursor of the next page. */
  readonly next?: string;
}
