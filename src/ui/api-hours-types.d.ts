// What the API tells by the hour, as far as the pages use it.

/** How often something happened, by the hour. */
export interface Hours {
  /** When the newest hour began. */
  readonly latestAt: string;
  /** Of each hour up to that, the newest last; 24 at most. */
  readonly counts: readonly number[];
}

/** How the runs of a type have gone in the last 24 hours. */
export interface TypeRuns {
  readonly type: string;
  readonly runs: number;
  readonly failed: number;
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly p99Ms: number | null;
  readonly hours: Hours;
}
