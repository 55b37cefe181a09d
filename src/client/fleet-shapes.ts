// What the API tells of the fleet itself, as the client shows it; written and compared as shapes.ts.

/** What shows that a queue is whole. All of it was read at one moment. */
export interface LedgerView {
  readonly queue: string;
  /** When that was. */
  readonly at: string;
  /** Tasks by state; `accepted` is the sum of all states and `removed`. */
  readonly counts: Readonly<Record<string, number>>;
  /** What `accepted` has beyond that sum: always 0. */
  readonly imbalance: number;
  /** Of each lane, messages that wait for a worker, and the copies of those that popfleet has pushed. */
  readonly lanes: Readonly<Record<string, { readonly messages: number; readonly copies: number }>>;
  /** Messages that were popped and not claimed when the last sweep looked, and some of their tasks: they are pushed again. */
  readonly unclaimed: {
    readonly count: number;
    readonly items: readonly { readonly id: string; readonly since: string }[];
  };
  /** So far: popped messages that were never claimed, and pushed again. */
  readonly repaired: number;
  /** So far: tasks that came back because their worker was lost. */
  readonly returned: number;
  /** So far: outcomes that were refused because another worker had the task by then. */
  readonly stale: number;
  /** So far: messages that are none of popfleet. */
  readonly malformed: number;
  /** When the last sweep was. */
  readonly sweptAt?: string;
  /** When the next is planned. */
  readonly sweepAt?: string;
}

/** How many workers a queue wants. */
export interface ScaleView {
  readonly queue: string;
  /** `ready`, `running` and `dueSoon` together. */
  readonly value: number;
  readonly suggestedWorkers: number;
  readonly ready: number;
  readonly running: number;
  /** Scheduled tasks, and ticks of schedules, that are due within 30 s. */
  readonly dueSoon: number;
  /** How long the oldest ready task has waited, as far as the next of each lane says; 0: none waits. */
  readonly oldestReadySeconds?: number;
  /** Those that serve it now. */
  readonly workers: number;
  readonly slots: { readonly busy: number; readonly total: number };
  /** Runs that become ready: the higher rate of the last minute and the last five. */
  readonly arrivalsPerSecond: number;
  /** Mean time of a run in the last five minutes. */
  readonly runSeconds?: number;
  /** Of those that serve it, else of the last one that did. */
  readonly slotsPerWorker: number;
}

/** A number a step, the oldest first; the last is of the few seconds before `at`. `null`: not known. */
type Column = readonly (number | null)[];
/** Milliseconds within which half, 95 % and 99 % of all lasted. */
type Percentiles = Readonly<Record<'p50' | 'p95' | 'p99', Column>>;

/** How queues have done. */
export interface SeriesView {
  readonly range: '10m' | '1h' | '24h';
  /** Those that are in it: the first hundred by name. */
  readonly queues: number;
  /** Length of a step. */
  readonly stepMs: number;
  /** End of the last whole step, which is the last value but one. */
  readonly until: string;
  /** When it was read. */
  readonly at: string;
  /** Tasks a second; those that follow as well. */
  readonly accepted: Column;
  readonly succeeded: Column;
  /** Attempts a second that another one follows. */
  readonly failed: Column;
  readonly dead: Column;
  readonly cancelled: Column;
  /** Tasks at the end of a step; those that follow as well. */
  readonly scheduled: Column;
  readonly ready: Column;
  readonly running: Column;
  /** How long tasks were ready in a step, by those that were started in it. */
  readonly waitMs: Column;
  /** Mean time of the runs that ended in a step. */
  readonly runMs: Column;
  /** Of the time for which first claims had waited, since they were accepted or due. */
  readonly waits: Percentiles;
  /** Of the time for which handlers ran. */
  readonly runs: Percentiles;
}

/** How the runs of a task type have gone in the last 24 hours. */
export interface TypeRunsView {
  readonly type: string;
  /** Runs of handlers that have ended, however they did. */
  readonly runs: number;
  /** Attempts that failed, for good or not. */
  readonly failed: number;
  /** Within which half, 95 % and 99 % of the runs ended; `null`: there were none. */
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly p99Ms: number | null;
  /** Runs of each hour, the newest last, which began at `latestAt` and is not over yet. */
  readonly hours: { readonly latestAt: string; readonly counts: readonly number[] };
}

/** A worker that was not heard of any more, in one of its queues. */
export interface LostWorkerView {
  readonly worker: string;
  readonly queue: string;
  /** When its lease ran out. */
  readonly leaseUntil: string;
  /** Tasks that it held then: they have gone back to their queue. */
  readonly held: number;
  readonly host?: string;
  readonly pid?: number;
  readonly version?: string;
}

/** Redis, the server that answers, and its limits. */
export interface SystemView {
  readonly server: {
    readonly version: string;
    readonly node: string;
    readonly host: string;
    readonly pid: number;
    readonly startedAt: string;
    readonly memoryBytes: number;
  };
  /** Why it takes no tasks now. */
  readonly fault?: string;
  /**
   * `name` is `Redis` or `Valkey`; `isSaved`: its latest writes to disk went well; `maxmemoryBytes` 0: without limit; `latencyMs`: the
   * median of five commands; `clockAheadMs`: of the clock of the server. Texts are empty and numbers 0 when the server may not run `INFO`.
   */
  readonly redis: Readonly<Record<'name' | 'version' | 'role' | 'maxmemoryPolicy', string>> &
    Readonly<Record<'appendOnly' | 'isSaved', boolean>> &
    Readonly<
      Record<'uptimeSeconds' | 'usedMemoryBytes' | 'maxmemoryBytes' | 'clients' | 'replicas', number>
    > &
    Readonly<Record<'commandsPerSecond' | 'latencyMs' | 'clockAheadMs', number>>;
  /** Settings of the server by their variables. */
  readonly limits: Readonly<Record<string, number>>;
}

/** A change that needed the scope `admin`. */
export interface AuditEntry {
  readonly id: string;
  readonly at: string;
  /** Id of the key; missing where no keys are asked for. */
  readonly by?: string;
  /** `operationId` in the document of the API. */
  readonly operation: string;
  readonly requestId: string;
  /** Parameters of the path. */
  readonly target: Readonly<Record<string, string>>;
  readonly queue?: string;
  /** What else is known of it. */
  readonly facts: Readonly<Record<string, unknown>>;
}
