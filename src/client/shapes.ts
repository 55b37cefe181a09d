// What goes over the API, as the client shows it. The server's own types are the source: both change together.

import type { CallInput } from '../protocol/options.ts';
import type { TaskView } from '../views/task-view.ts';

/** Options of one task, beside its type and input. */
export type TaskOptions = Omit<CallInput, 'type' | 'input'>;

/** One task of many. */
export type ManyTask = TaskOptions & { readonly type: string; readonly input?: unknown };

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
  readonly links: { readonly self: string; readonly events: string };
}

export interface ProgressView {
  readonly percent: number;
  readonly note?: string;
}

/** One event of a task. `reset`: some are missing; read the task anew. */
export type TaskEvent =
  | { readonly name: 'snapshot' | 'end'; readonly data: TaskView }
  | { readonly name: 'state'; readonly data: { readonly state: string; readonly at: string } }
  | { readonly name: 'progress'; readonly data: { readonly progress: ProgressView } }
  | { readonly name: 'reset'; readonly data: { readonly reason: string } };
