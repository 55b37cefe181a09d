// What goes over the API about schedules.

import type { BackoffView, OptionsOfTasks, TaskOptions } from './shapes.ts';

/** A step of a workflow that a schedule starts. */
export interface ScheduledStep extends OptionsOfTasks {
  readonly type: string;
  /** Without one it is `{}`. */
  readonly input?: unknown;
  /** Steps that have to succeed before this one begins. */
  readonly needs?: string[] | undefined;
  /** What becomes of it when one of them fails: `fail`, unless given: it is dead; `run`: it runs anyway; or it is cancelled. */
  readonly onNeedFailed?: 'fail' | 'run' | 'cancel' | undefined;
  /** From when its needs are met. */
  readonly delayMs?: number | undefined;
  readonly onEnd?: TaskOptions['onEnd'];
}

/** A workflow that a schedule starts. */
export interface ScheduledWorkflow {
  readonly name?: string | undefined;
  /** When a step is dead, all that have not ended are cancelled. */
  readonly cancelSiblings?: boolean | undefined;
  /** The steps by their names, at most 1,000. */
  readonly tasks: Record<string, ScheduledStep>;
}

/** A schedule as it is written. Either `cron` or `everyMs` is given, and either `type` with `input` or `workflow`. */
export interface ScheduleInput extends OptionsOfTasks {
  /** Of a task that each tick makes; with its options. */
  readonly type?: string | undefined;
  readonly input?: unknown;
  /** Started by each tick. Its steps have the options; `queue` has its record. */
  readonly workflow?: ScheduledWorkflow | undefined;
  /** Five fields, six with seconds first, or a name such as `@daily`. */
  readonly cron?: string | undefined;
  /** At every multiple of it since 1970; at least 1,000. */
  readonly everyMs?: number | undefined;
  /** In which `cron` is read; `UTC` unless given. */
  readonly timeZone?: string | undefined;
  /** Ticks that were missed: `skip`, unless given, drops them, `once` makes one run for all of them. */
  readonly misfire?: 'skip' | 'once' | undefined;
  readonly paused?: boolean | undefined;
}

export interface ScheduleView {
  readonly name: string;
  readonly queue: string;
  /** Missing when it starts a workflow, and, as all that follows, when the schedule cannot be read. */
  readonly type?: string;
  readonly input?: unknown;
  readonly workflow?: ScheduledWorkflow;
  readonly cron?: string;
  readonly everyMs?: number;
  readonly timeZone?: string;
  readonly misfire?: 'skip' | 'once';
  readonly paused?: boolean;
  readonly priority?: string;
  readonly maxAttempts?: number;
  readonly backoff?: BackoffView;
  readonly timeoutMs?: number;
  readonly resultTtlMs?: number;
  readonly ttlMs?: number;
  readonly webhook?: { readonly url: string; readonly states?: readonly string[] };
  readonly tags?: readonly string[];
  /** The next ticks. */
  readonly next: readonly string[];
  /** The latest tick, and the task that it made, or the workflow that it started. */
  readonly last?: { readonly due: string; readonly task?: string; readonly workflow?: string };
  /** How many ticks were skipped so far, and when the first and the last of the latest of them were due. */
  readonly skipped?: { readonly count: number; readonly from: string; readonly until: string };
  /** What of it cannot be read: put it again, or delete it. */
  readonly fault?: string;
}

/** A schedule that would be taken. */
export interface CheckedSchedule {
  /** Missing when it starts a workflow. */
  readonly type?: string;
  readonly queue: string;
  /** Its next ticks. */
  readonly next: readonly string[];
}

/** What a schedule has made when it was run by hand: a task, or a workflow, which has no type. */
export interface ScheduleReceipt {
  readonly id: string;
  readonly queue: string;
  readonly type?: string;
  readonly priority?: string;
  readonly state?: string;
  readonly durability?: 'memory' | 'disk' | 'replicas';
  readonly links: { readonly self: string; readonly events?: string };
}
