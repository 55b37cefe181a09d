// What goes over the API of workflows, as the client shows it; written and compared as shapes.ts.

import type { TaskState } from './shapes.ts';

export interface WorkflowStep {
  /** Its name. */
  readonly step: string;
  /** Id of its task. */
  readonly task: string;
  readonly type: string;
  readonly queue: string;
  readonly needs: readonly string[];
  readonly onNeedFailed: 'fail' | 'run' | 'cancel';
  /** `removed` when its task is no longer kept. */
  readonly state: TaskState;
  /** Missing when the results of a workflow are large: its task has it. */
  readonly result?: unknown;
  readonly error?: { readonly name: string; readonly message: string };
  /** Of its latest run. */
  readonly startedAt?: string;
  readonly finishedAt?: string;
  /** What its handler has said last. */
  readonly progress?: unknown;
  readonly links: { readonly self: string };
}

/** A workflow without its steps. */
export interface WorkflowRow {
  readonly id: string;
  readonly name?: string;
  readonly state: 'accepting' | 'running' | 'succeeded' | 'dead' | 'cancelled';
  /** Its home queue, which has its record. */
  readonly queue: string;
  /** 1, and one more with each retry. */
  readonly generation: number;
  /** Of steps. */
  readonly counts: {
    readonly total: number;
    readonly ended: number;
    readonly succeeded: number;
    readonly dead: number;
    readonly cancelled: number;
  };
  /** The tick that has started it. */
  readonly schedule?: { readonly name: string; readonly due: string };
  /** What has not ended is being cancelled. */
  readonly cancelling?: boolean;
  readonly acceptedAt: string;
  readonly startedAt?: string;
  readonly endedAt?: string;
  readonly links: { readonly self: string };
}

export interface WorkflowView extends WorkflowRow {
  readonly steps: readonly WorkflowStep[];
}
