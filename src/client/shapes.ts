// What goes over the API, as the client shows it: written by hand, so that a program needs the types of nothing else, and compared
// with the server's own by tests/client/types.test.ts. Times are RFC 3339 texts in UTC. The API may add members and words.

/** Of a task. */
type State = 'waiting' | 'scheduled' | 'ready' | 'running' | 'succeeded' | 'dead' | 'cancelled' | 'moved';
/** A task that a later release has written may be in a state that this one does not know. */
export type TaskState = State | (string & {});

/** Who is told when a task ends. */
export interface WebhookOption {
  readonly url: string;
  /** All unless given. */
  readonly states?: ('succeeded' | 'dead' | 'cancelled')[] | undefined;
}

export interface BackoffOption {
  /** `exponential` unless given. */
  readonly type?: 'fixed' | 'exponential' | undefined;
  /** Milliseconds before the second attempt; 1,000 unless given. */
  readonly baseMs?: number | undefined;
  /** Of the delay for each further failure; 2 unless given. */
  readonly factor?: number | undefined;
  /** Longest delay in milliseconds; 300,000 unless given. */
  readonly capMs?: number | undefined;
  /** `full`, unless given: any time between 0 and the delay. */
  readonly jitter?: 'full' | 'none' | undefined;
}

/** What a call and a schedule may both ask for. */
export interface OptionsOfTasks {
  /** That of its type, or `default`, unless given. */
  readonly queue?: string | undefined;
  /** `normal` unless given. */
  readonly priority?: 'high' | 'normal' | 'low' | undefined;
  /** Runs that count, 1 to 1,000; 3 unless given. */
  readonly maxAttempts?: number | undefined;
  readonly backoff?: BackoffOption | undefined;
  /** A run that takes longer is ended, in milliseconds. */
  readonly timeoutMs?: number | undefined;
  /** How long the finished task is kept, in milliseconds. */
  readonly resultTtlMs?: number | undefined;
  /** Not started for this long, it is dead. Milliseconds. */
  readonly ttlMs?: number | undefined;
  /** What it is found by: up to 16 texts of up to 64 characters. */
  readonly tags?: string[] | undefined;
  readonly webhook?: WebhookOption | undefined;
}

/** Options of one task, beside its type and input (docs/protocol.md, "Options of a task"). */
export interface TaskOptions extends OptionsOfTasks {
  /** Idempotency key: sent again with the same key, it is the same task. The client makes one unless it is given. */
  readonly key?: string | undefined;
  /** How long the key finds its task, in milliseconds; a day unless given. */
  readonly keyWindowMs?: number | undefined;
  /** Where Redis has the task before the answer: its memory unless given, its disk, or the memory of replicas. */
  readonly durability?: 'memory' | 'disk' | 'replicas' | undefined;
  /** Not before so many milliseconds. */
  readonly delayMs?: number | undefined;
  /** Not before: RFC 3339 text, or milliseconds since 1970. */
  readonly runAt?: string | number | undefined;
  /** Not started by then, it is dead. */
  readonly expiresAt?: string | number | undefined;
  /** The task that is accepted when this one ends, whichever way it does. */
  readonly onEnd?:
    | { readonly type: string; readonly input?: unknown; readonly queue?: string | undefined }
    | undefined;
}

/** What the server says of a task that it has taken. */
export interface Receipt {
  readonly id: string;
  readonly type: string;
  readonly queue: string;
  readonly priority: string;
  /** Missing for a task that was there already. */
  readonly state?: string;
  /** The idempotency key has found a task that was made before. */
  readonly replayed?: true;
  /** Where Redis had it, when the task asks for a `durability`: less than that when it was not reached in time. */
  readonly durability?: 'memory' | 'disk' | 'replicas';
  readonly links: { readonly self: string; readonly events: string };
}

/** A token that is completed. */
export interface CompletedWaitpoint {
  readonly token: string;
  /** Id of the task that waits for it, or will. */
  readonly task: string;
  /** The same payload had come before. */
  readonly repeated: boolean;
}

/** An error, or the cause of one. */
export interface ErrorCause {
  readonly name: string;
  readonly message: string;
  /** Its code, errno, status or statusCode, such as `ECONNREFUSED` or `404`. */
  readonly code?: string;
  readonly stack?: string;
  readonly cause?: ErrorCause;
  /** Those of an `AggregateError`. */
  readonly errors?: readonly ErrorCause[];
}

export interface TaskError extends ErrorCause {
  /** Equal for failures with the same cause. */
  readonly fingerprint?: string;
  /** Its thread was ended from outside: `timeout`, `cancel`, `out-of-memory`, `thread-exit` or `process-exit`. */
  readonly killCause?: string;
  readonly killLatencyMs?: number;
}

/** A row of a list: no payload, no stack. */
export interface TaskRow {
  readonly id: string;
  readonly type: string;
  readonly state: TaskState;
  readonly queue: string;
  readonly priority: string;
  /** The attempt that runs, or has run last; of a task that waits, how many were made. */
  readonly attempt: number;
  /** Workers that were lost while they ran it. */
  readonly crashes: number;
  /** That runs it, or has run it last. */
  readonly worker?: string;
  readonly acceptedAt: string;
  readonly dueAt?: string;
  readonly startedAt?: string;
  readonly finishedAt?: string;
  readonly tags?: readonly string[];
  readonly error?: TaskError;
  readonly links: { readonly self: string };
}

/** A task. Members that are unknown, or do not apply, are absent. */
export interface TaskView extends TaskRow {
  readonly input: unknown;
  /** When it was retried with this input instead of the one that it was sent with. */
  readonly inputEditedAt?: string;
  /** What holds for its runs: the options of the call, else of its type, else the defaults. */
  readonly options?: {
    readonly maxAttempts: number;
    readonly backoff: BackoffView;
    readonly timeoutMs?: number | undefined;
    readonly resultTtlMs?: number | undefined;
  };
  readonly expiresAt?: string;
  readonly cancelRequestedAt?: string;
  /** What its handler has said last: `{percent, note?}`. */
  readonly progress?: unknown;
  readonly result?: unknown;
  /** How its latest attempts failed, oldest first. */
  readonly errors: readonly {
    readonly claim: number;
    readonly worker: string;
    readonly startedAt: string;
    readonly endedAt: string;
    readonly error: TaskError;
  }[];
  /** Fields by which it is found, of its definition. */
  readonly search?: Readonly<Record<string, string>>;
  /** The tick that made it. */
  readonly schedule?: { readonly name: string; readonly due: string };
  /** The task that is accepted when this one has ended. `task`: its id, from the end on; there a moment later. */
  readonly onEnd?: { readonly type: string; readonly queue: string; readonly task?: string };
  readonly webhooks?: readonly {
    readonly endpoint?: string;
    readonly url?: string;
    readonly states?: readonly string[];
    /** Id of the task that tells of its latest end. */
    readonly delivery?: string;
  }[];
  /** The task that it follows, and how that ended. */
  readonly cause?: { readonly id: string; readonly state: string };
  /** The workflow of which it is a step. */
  readonly workflow?: { readonly id: string; readonly step: string };
  /** The task whose handler has made it. */
  readonly parent?: { readonly task: string; readonly queue: string };
  /** The tasks that its handler has made, and how each has ended for this task. */
  readonly children?: readonly {
    readonly task: string;
    readonly queue: string;
    readonly state: 'succeeded' | 'dead' | 'cancelled' | 'removed' | 'unfinished';
    readonly links: { readonly self: string };
  }[];
  readonly traceparent?: string;
  readonly links: {
    readonly self: string;
    readonly log: string;
    readonly events: string;
    readonly explain: string;
  };
}

export interface BackoffView {
  readonly type: 'fixed' | 'exponential';
  readonly baseMs: number;
  readonly factor: number;
  readonly capMs: number;
  readonly jitter: 'full' | 'none';
}

export interface ProgressView {
  readonly percent: number;
  readonly note?: string;
}

/** An event behind which another stream may go on. */
export interface Resumable {
  /** Where to go on behind it. */
  readonly lastEventId?: string | undefined;
}

/** One event of a task. `reset`: some are missing; read the task anew. */
export type TaskEvent = Resumable &
  (
    | { readonly name: 'snapshot' | 'end'; readonly data: TaskView }
    | { readonly name: 'state'; readonly data: { readonly state: TaskState; readonly at: string } }
    | { readonly name: 'progress'; readonly data: { readonly progress: ProgressView } }
    | { readonly name: 'reset'; readonly data: { readonly reason: string } }
  );

/** Why a task does not run yet. */
export interface Explanation {
  readonly id: string;
  readonly state: TaskState;
  readonly queue: string;
  readonly now: string;
  /** The first is the one to act on. */
  readonly reasons: readonly {
    readonly code: string;
    /** Whether it keeps the task from running. */
    readonly blocking: boolean;
    readonly message: string;
    readonly since?: string;
    /** What to do about it. */
    readonly fix?: string;
  }[];
  /** Tasks ahead of it with its priority. */
  readonly ahead?: { readonly count: number; readonly capped: boolean };
}

export interface QueueView {
  readonly queue: string;
  readonly paused: boolean;
  readonly pausedSince?: string;
  /** Why, as it was said; missing: nobody has. */
  readonly pausedReason?: string;
  /** Tasks by state; `accepted` is the sum of all states and `removed`. */
  readonly counts: Readonly<Record<string, number>>;
  /** Length of each lane. */
  readonly ready: Readonly<Record<string, number>>;
  /** How long the task that waits for longest has been ready; 0: none is; missing: not known. */
  readonly oldestReadyMs?: number;
  /** Tasks among the dead whose kind of failure is ignored; missing: none. */
  readonly deadIgnored?: number;
  /** Messages that are none of popfleet; the latest 1,000 are kept. */
  readonly malformed: number;
  /** How many there were before those; missing: none. */
  readonly malformedDropped?: number;
  readonly workers: number;
  /** Ends of tasks whose `onEnd` or webhook waits to be accepted, and how long the oldest has waited. */
  readonly outbox: { readonly length: number; readonly oldestMs: number };
}

/** A worker in one of its queues. */
export interface WorkerView {
  readonly worker: string;
  readonly queue: string;
  /** End of its lease; then its tasks go to others. */
  readonly leaseUntil: string;
  /** Tasks. */
  readonly holds: number;
  /** `quiet`: it claims nothing more; `stopping`: its program ends once nothing runs. */
  readonly state: 'working' | 'quiet' | 'stopping';
  readonly host?: string;
  readonly pid?: number;
  readonly startedAt?: string;
  readonly version?: string;
  /** Tasks at the same time. */
  readonly concurrency?: number;
  readonly threads?: number;
  /** Task types that it has handlers for. */
  readonly types?: readonly string[];
}

/** A live worker, and what it runs. */
export interface WorkerTasksView {
  /** One item a queue that it serves. */
  readonly items: readonly WorkerView[];
  /** First what it claimed first, and what it has claimed ahead as well: at most 200. */
  readonly running: readonly RunningTask[];
}

/** A task that a worker runs. */
export interface RunningTask extends TaskRow {
  /** What its handler has said last. */
  readonly progress?: unknown;
  /** How long its handler may run, where that is limited and known. */
  readonly timeoutMs?: number;
}

export interface TypeView {
  readonly type: string;
  /** JSON Schema (2020-12). */
  readonly input: unknown;
  readonly defaults: unknown;
  readonly runIn: 'thread' | 'inline';
}

/** Whether a server takes tasks. */
export interface ReadinessView {
  readonly status: 'ready' | 'not ready';
  readonly checks: readonly {
    readonly name: string;
    readonly ok: boolean;
    /** Whole milliseconds that the check took. */
    readonly ms: number;
    readonly detail?: string | undefined;
  }[];
}

/** What a key allows. */
export interface CallerView {
  /** Id of the key; missing where no keys are asked for. */
  readonly key?: string | undefined;
  readonly scopes: readonly ('enqueue' | 'read' | 'admin')[];
  /** Queues that the key is for; missing = all. */
  readonly queues?: readonly string[] | undefined;
}

/** One kind of failure in one queue. */
export interface ErrorGroupView {
  /** 16 hexadecimal digits; `other` for all kinds beyond the first thousand of a queue. */
  readonly fingerprint: string;
  readonly queue: string;
  /** Missing of `other`. */
  readonly type?: string;
  readonly name: string;
  /** Without what differs from task to task, in short. */
  readonly message: string;
  /** Its tasks that are dead now. */
  readonly dead: number;
  /** How often a task has died of it. */
  readonly total: number;
  readonly firstSeenAt: string;
  readonly lastSeenAt: string;
  /** How often a task has died of it in each hour up to the newest with one, the newest last; 24 at most. */
  readonly hours?: { readonly latestAt: string; readonly counts: readonly number[] };
  /** The fewest and the most attempts that a task had had when it died of it. */
  readonly attempts?: { readonly least: number; readonly most: number };
  /** Versions of the code of the workers under which tasks have died of it: the latest five, the latest first. */
  readonly versions: readonly string[];
  /** Id of its newest dead task; of the one that died last when none is dead now. */
  readonly sample: string;
  /** As long as nobody is warned of it. Whatever comes first ends that: a time, or that `total` is beyond a number. */
  readonly ignored?: { readonly until?: string; readonly untilTotal?: number };
}

/** Which tasks an operation is for. `…After` is from then on, `…Before` is up to then. */
export interface OperationFilter {
  readonly queue: string;
  /** These alone. */
  readonly ids?: string[];
  readonly state?: State;
  readonly type?: string;
  /** Of the error of dead tasks. */
  readonly fingerprint?: string;
  /** Name of the error of dead tasks. */
  readonly error?: string;
  readonly tag?: string;
  /** A field that their definition declares, and its value, as `customer:4711`. */
  readonly field?: string;
  readonly acceptedAfter?: string | number;
  readonly acceptedBefore?: string | number;
  readonly endedAfter?: string | number;
  readonly endedBefore?: string | number;
}

type OperationAction = 'retry' | 'cancel' | 'delete' | 'move';

/** What is to be done, and to which tasks. */
export interface OperationRequest {
  readonly action: OperationAction;
  readonly filter: OperationFilter;
  /** The queue to which `move` moves. */
  readonly to?: string;
  readonly reason?: string;
  /** Does it to so many, and then to no more. */
  readonly first?: number;
  /** Watches what it retries, and stops when so many are dead again. */
  readonly stopAfterErrors?: number;
  /** Goes on with the others by itself once the first ones have ended. */
  readonly thenRest?: boolean;
}

export interface OperationView {
  readonly id: string;
  readonly queue: string;
  readonly state: string;
  readonly action: OperationAction;
  readonly filter: { readonly queue: string; readonly [member: string]: unknown };
  readonly to?: string;
  /** Id of the key of whoever asked for it. */
  readonly by?: string;
  readonly reason?: string;
  readonly first?: number;
  readonly stopAfterErrors?: number;
  readonly thenRest?: boolean;
  /** So far: always `done` and the numbers of `skipped` and `failed` together. */
  readonly matched: number;
  readonly done: number;
  /** Of `done`: tasks that ran, and were asked to stop. */
  readonly requested: number;
  /** Number by reason. */
  readonly skipped: Readonly<Record<string, number>>;
  readonly failed: Readonly<Record<string, number>>;
  readonly createdAt: string;
  readonly startedAt?: string;
  readonly endedAt?: string;
  /** How those that it has retried have ended so far. */
  readonly watched?: { readonly succeeded: number; readonly dead: number; readonly others: number };
  readonly ratePerSecond?: number;
  /** About how long it still takes. */
  readonly etaMs?: number;
  /** Of one that was for the `first` ones: the body that does it to the others. */
  readonly next?: {
    readonly action: OperationAction;
    readonly filter: { readonly queue: string; readonly [member: string]: unknown };
    readonly to?: string;
    readonly stopAfterErrors?: number;
    readonly confirm: string;
  };
}
