// Batches as the API writes them (views/batch-view.ts), as far as the pages use them.

interface Then {
  readonly type: string;
  readonly queue: string;
}

export interface Batch {
  readonly id: string;
  readonly name?: string;
  readonly state: string;
  /** Its home queue. */
  readonly queue: string;
  readonly counts: {
    readonly members: number;
    /** On their way. */
    readonly pending: number;
    readonly ended: number;
    readonly succeeded: number;
    readonly dead: number;
    readonly cancelled: number;
    /** Of those cancelled: never accepted. */
    readonly missing?: number;
  };
  /** What follows when all have succeeded, or have ended. */
  readonly success?: Then;
  readonly complete?: Then;
  readonly acceptedAt: string;
  readonly endedAt?: string;
}
