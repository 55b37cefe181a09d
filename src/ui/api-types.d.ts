// What `/v1` answers, as far as the dashboard shows it. Times are RFC 3339 texts. The API may add members and words.

export interface Queue {
  readonly queue: string;
  readonly paused: boolean;
  /** Tasks by state, and `accepted` and `removed`. */
  readonly counts: Readonly<Record<string, number>>;
  /** Length of each lane. */
  readonly ready: Readonly<Record<string, number>>;
  readonly malformed: number;
  readonly workers: number;
  readonly outbox: { readonly length: number; readonly oldestMs: number };
}

/** A worker in one of its queues. */
export interface Worker {
  readonly worker: string;
  readonly queue: string;
  readonly leaseUntil: string;
  readonly holds: number;
  readonly host?: string;
  readonly pid?: number;
  readonly startedAt?: string;
  readonly version?: string;
  readonly concurrency?: number;
  readonly threads?: number;
  readonly types?: readonly string[];
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
  readonly acceptedAt: string;
  readonly dueAt?: string;
  readonly startedAt?: string;
  readonly finishedAt?: string;
  readonly error?: TaskError;
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
  readonly worker?: string;
  readonly expiresAt?: string;
  readonly cancelRequestedAt?: string;
  readonly progress?: unknown;
  readonly result?: unknown;
  readonly errors: readonly FailedAttempt[];
  readonly schedule?: { readonly name: string; readonly due: string };
  readonly onEnd?: { readonly type: string; readonly queue: string };
  readonly cause?: { readonly id: string; readonly state: string };
  readonly traceparent?: string;
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
  readonly cron?: string;
  readonly everyMs?: number;
  readonly timeZone?: string;
  readonly misfire?: string;
  readonly paused?: boolean;
  readonly next: readonly string[];
  readonly last?: { readonly due: string; readonly task: string };
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
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly default?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxLength?: number;
  readonly items?: unknown;
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

export interface Items<T> {
  readonly items: readonly T[];
  /** Cursor of the next page. */
  readonly next?: string;
}
