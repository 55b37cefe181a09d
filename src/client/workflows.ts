// Workflows of the API: tasks that need each other, sent as one.

import { longPoll, type WaitOptions } from './long-poll.ts';
import { keyed } from './keyed.ts';
import { pagesOf } from './pages.ts';
import type { TaskOptions } from './shapes.ts';
import type { WorkflowRow, WorkflowView } from './workflow-shapes.ts';
import type { InputOf, TypeIn } from './task-types.ts';
import type { CallOptions, Transport } from './transport.ts';

/** Stands in an input for what a need has brought: its whole result, or the part to which the JSON Pointer `path` leads. */
export interface Reference<Steps extends string = string> {
  readonly $from: Steps;
  readonly path?: string | undefined;
}

/** An input any part of which may be a reference. */
export type WithReferences<Value, Steps extends string = string> =
  | Value
  | Reference<Steps>
  | (Value extends object ? { readonly [Name in keyof Value]: WithReferences<Value[Name], Steps> } : never);

interface StepOptions<Steps extends string> extends Omit<TaskOptions, 'key' | 'keyWindowMs' | 'durability'> {
  /** Steps that have to succeed before this one begins. */
  readonly needs?: readonly Steps[] | undefined;
  /** What becomes of it when one of them fails: `fail`, unless given: it is dead; `run`: it runs anyway; or it is cancelled. */
  readonly onNeedFailed?: 'fail' | 'run' | 'cancel' | undefined;
}

/** One step: a task type and its input. */
export type Step<Tasks = unknown, Steps extends string = string> = unknown extends Tasks
  ? StepOptions<Steps> & { readonly type: string; readonly input?: unknown }
  : {
      [Type in TypeIn<Tasks>]: StepOptions<Steps> & {
        readonly type: Type;
        readonly input: WithReferences<InputOf<Tasks, Type>, Steps>;
      };
    }[TypeIn<Tasks>];

export interface WorkflowRequest<Tasks = unknown, Steps extends string = string> {
  readonly name?: string | undefined;
  /** Sent again with the same key, it is the same workflow, as long as its record is kept. The client makes one unless it is given. */
  readonly key?: string | undefined;
  /** When a step is dead, all that have not ended are cancelled. */
  readonly cancelSiblings?: boolean | undefined;
  /** The steps by their names, at most 1,000. */
  readonly tasks: Readonly<Record<Steps, Step<Tasks, NoInfer<Steps>>>>;
}

/** @throws ApiError from every method; `not-found` */
export interface Workflows<Tasks = unknown> {
  /** Resolves once Redis has all of it. It is accepted whole or not at all. */
  start<Steps extends string>(
    workflow: WorkflowRequest<Tasks, Steps>,
    options?: CallOptions,
  ): Promise<WorkflowView>;
  get(id: string, options?: CallOptions): Promise<WorkflowView>;
  /** Newest first, page after page as they are read. `name`: those whose name begins so. */
  list(
    options?: CallOptions & {
      readonly state?: WorkflowRow['state'] | undefined;
      readonly name?: string | undefined;
    },
  ): AsyncGenerator<WorkflowRow, void, void>;
  /**
   * The workflow once it has ended, whichever way. The server may go away meanwhile for up to a minute.
   * @throws WaitTimeout
   */
  wait(id: string, options?: WaitOptions): Promise<WorkflowView>;
  /** Cancels all steps that have not ended. */
  cancel(id: string, options?: CallOptions): Promise<WorkflowView>;
  /** Runs the steps again that have not succeeded, under their ids. */
  retry(id: string, options?: CallOptions): Promise<WorkflowView>;
}

export function createWorkflows<Tasks>(transport: Transport): Workflows<Tasks> {
  const path = (id: string): string => `/v1/workflows/${encodeURIComponent(id)}`;
  const act =
    (verb: 'cancel' | 'retry', once: boolean) =>
    (id: string, { signal }: CallOptions = {}) =>
      transport.json<WorkflowView>({ method: 'POST', path: `${path(id)}/${verb}`, once, signal });
  return {
    start: (workflow, { signal } = {}) =>
      transport.json({
        method: 'POST',
        path: '/v1/workflows',
        body: keyed(workflow),
        signal,
      }),
    get: (id, { signal } = {}) => transport.json({ path: path(id), signal }),
    list: ({ signal, ...query } = {}) => pagesOf(transport, '/v1/workflows', query, signal),
    wait: (id, options) => longPoll(transport, { what: 'workflow', id, path: path(id) }, options),
    cancel: act('cancel', false),
    retry: act('retry', true),
  };
}
