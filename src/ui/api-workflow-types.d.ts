// Workflows as the API writes them (views/workflow-view.ts), as far as the pages use them.

export interface WorkflowStep {
  readonly step: string;
  /** Id of its task. */
  readonly task: string;
  readonly type: string;
  readonly queue: string;
  readonly needs: readonly string[];
  readonly onNeedFailed: 'fail' | 'run' | 'cancel';
  readonly state: string;
  readonly error?: { readonly name: string; readonly message: string };
  readonly startedAt?: string;
  readonly finishedAt?: string;
  readonly progress?: unknown;
}

export interface WorkflowRow {
  readonly id: string;
  readonly name?: string;
  readonly state: string;
  /** Its home queue. */
  readonly queue: string;
  readonly generation: number;
  readonly counts: {
    readonly total: number;
    readonly ended: number;
    readonly succeeded: number;
    readonly dead: number;
    readonly cancelled: number;
  };
  /** The tick that has started it. */
  readonly schedule?: { readonly name: string; readonly due: string };
  readonly cancelling?: boolean;
  readonly acceptedAt: string;
  readonly startedAt?: string;
  readonly endedAt?: string;
}

export interface Workflow extends WorkflowRow {
  readonly steps: readonly WorkflowStep[];
}
