// The workflows of the library: sent, read, cancelled and retried without HTTP.

import type { Accept } from './accept/accept.ts';
import type { Sender } from './accept/new-task.ts';
import { PopfleetError } from './protocol/errors.ts';
import type { CallInput } from './protocol/options.ts';
import { readPlain } from './protocol/plain-value.ts';
import { readTaskId } from './protocol/task-id.ts';
import { invalidInput, pointerBelow, validate } from './protocol/validate.ts';
import { WorkflowSchema } from './protocol/workflow.ts';
import type { Inspector } from './store/inspector.ts';
import type { Waiters } from './store/waiters.ts';
import { isOverWorkflow, type WorkflowRecord, type Workflows as Store } from './store/workflows.ts';
import { demandWait, LONGEST_WAIT_MS } from './task-handle.ts';
import { isTaskDefinition, type TaskDefinition } from './tasks/define.ts';
import { toWorkflowView, type WorkflowView } from './views/workflow-view.ts';
import { createAcceptWorkflow } from './workflows/accept-workflow.ts';

/** Stands in an input for what a need has brought: its whole result, or the part to which the JSON Pointer `path` leads. */
export interface Reference {
  readonly $from: string;
  readonly path?: string | undefined;
}

/** An input any part of which may be a reference. */
export type WithReferences<Value> =
  | Value
  | Reference
  | (Value extends object ? { readonly [Name in keyof Value]: WithReferences<Value[Name]> } : never);

/** One step of a workflow. `Sent` is what its task takes, `Steps` are the names of all steps. */
export interface WorkflowStepCall<Sent, Steps extends string = string>
  extends Omit<CallInput, 'type' | 'input' | 'key' | 'keyWindowMs'> {
  /** One of `tasks`, or its type. */
  readonly task: TaskDefinition<unknown, unknown, Sent> | string;
  readonly input?: WithReferences<NoInfer<Sent>> | undefined;
  /** Steps that have to succeed before this one begins. */
  readonly needs?: readonly NoInfer<Steps>[] | undefined;
  /** What becomes of it when one of them fails: `fail`, unless given: it is dead; `run`: it runs anyway; or it is cancelled. */
  readonly onNeedFailed?: 'fail' | 'run' | 'cancel' | undefined;
}

export interface WorkflowCall<Inputs> {
  readonly name?: string | undefined;
  /** Sent again with the same key, it is the same workflow, as long as its record is kept. */
  readonly key?: string | undefined;
  /** When a step is dead, all that have not ended are cancelled. */
  readonly cancelSiblings?: boolean | undefined;
  /** The steps by their names, at most 1,000. */
  readonly tasks: {
    readonly [Step in keyof Inputs]: WorkflowStepCall<Inputs[Step], keyof Inputs & string>;
  };
}

/** @throws PopfleetError from every method; `redis-unavailable` when Redis does not answer */
export interface LibraryWorkflows {
  /**
   * Resolves once Redis has all of it. It is accepted whole or not at all. The definitions give the types of the inputs.
   * @returns its id, and whether its key has found one that was there
   * @throws PopfleetError `unknown-type`, `invalid-input` with the place of each fault, `idempotency-key-reused`, `redis-full`
   */
  start<Inputs>(workflow: WorkflowCall<Inputs>): Promise<{ readonly id: string; readonly replayed: boolean }>;
  /** The workflow as it is now, with its steps; `undefined` when there is none, or its record was removed. */
  get(id: string): Promise<WorkflowView | undefined>;
  /**
   * The workflow once it has ended, whichever way; for an event of Redis, without polling.
   * @param options.timeoutMs how long to wait, 24 days by default
   * @throws PopfleetError `timed-out` (it goes on), `not-found`, `shutting-down`
   */
  wait(id: string, options?: { readonly timeoutMs?: number }): Promise<WorkflowView>;
  /** Cancels all steps that have not ended. @throws PopfleetError `not-found`, `invalid-state` */
  cancel(id: string): Promise<WorkflowView>;
  /** Runs the steps again that have not succeeded, under their ids. @throws PopfleetError `not-found`, `invalid-state`, `redis-full` */
  retry(id: string): Promise<WorkflowView>;
}

export interface LibraryWorkflowsDeps {
  readonly accept: Accept;
  readonly store: Store;
  readonly inspector: Pick<Inspector, 'queues'>;
  readonly waiters: Waiters;
  readonly sender: Sender;
  /** Whether `close` was called. */
  readonly isClosed: () => boolean;
}

export function createLibraryWorkflows(deps: LibraryWorkflowsDeps): LibraryWorkflows {
  const { accept, store, inspector, waiters, sender } = deps;
  const acceptWorkflow = createAcceptWorkflow({ accept, store });

  async function lookFor(given: unknown): Promise<WorkflowRecord | undefined> {
    if (typeof given !== 'string') throw invalidInput([{ pointer: '#/id', detail: 'must be text' }]);
    const id = readTaskId(given);
    return id === undefined ? undefined : store.find(id, await inspector.queues());
  }

  async function find(id: unknown): Promise<WorkflowRecord> {
    const record = await lookFor(id);
    if (record) return record;
    throw new PopfleetError('not-found', `There is no workflow ${String(id)}, or its record was removed.`);
  }

  const view = async (record: WorkflowRecord): Promise<WorkflowView> =>
    toWorkflowView(record, await store.tasks(record.plan.steps), '');

  return {
    async start(workflow) {
      const { id, isReplayed } = await acceptWorkflow.accept(
        validate(WorkflowSchema, toCall(workflow)),
        sender,
      );
      return { id, replayed: isReplayed };
    },

    async get(id) {
      const record = await lookFor(id);
      return record && view(record);
    },

    async wait(id, { timeoutMs = LONGEST_WAIT_MS } = {}) {
      demandWait(timeoutMs);
      const { plan } = await find(id);
      const place = { id: plan.id, queue: plan.home };
      const look = (): Promise<WorkflowRecord | undefined> => store.find(plan.id, [plan.home]);
      const isClosed = (): never => {
        throw new PopfleetError('shutting-down', 'The connection to popfleet was closed.');
      };
      const seen = await waiters
        .waitForRecord({ ...place, look, isOver: isOverWorkflow }, timeoutMs)
        .catch((error: unknown) => {
          if (deps.isClosed()) return isClosed();
          throw error;
        });
      if (deps.isClosed()) return isClosed();
      if (!seen) throw new PopfleetError('not-found', `There is no workflow ${plan.id} any more.`);
      if (isOverWorkflow(seen)) return view(seen);
      throw new PopfleetError(
        'timed-out',
        `The workflow ${plan.id} has not ended within ${timeoutMs} ms; it is ${seen.progress.state}.`,
      );
    },

    async cancel(id) {
      const { plan } = await find(id);
      const { state } = await store.cancel(plan.home, plan.id);
      if (state === 'succeeded' || state === 'dead')
        throw new PopfleetError('invalid-state', `The workflow is ${state} and cannot be cancelled.`);
      return view(await find(id));
    },

    async retry(id) {
      await acceptWorkflow.retry(await find(id));
      return view(await find(id));
    },
  };
}

/** As `POST /v1/workflows` takes it: copied, so that changes by the caller meanwhile have no effect. @throws PopfleetError `invalid-input` */
function toCall(given: unknown): unknown {
  if (!isObject(given)) throw invalidInput([{ pointer: '#', detail: 'must be an object' }]);
  const { tasks, ...rest } = given;
  if (!isObject(tasks)) throw invalidInput([{ pointer: '#/tasks', detail: 'must be an object' }]);
  const steps = Object.entries(tasks).map(([name, step]) => {
    const at = pointerBelow('/tasks', [name]);
    if (!isObject(step)) throw invalidInput([{ pointer: at, detail: 'must be an object' }]);
    const { task, ...options } = step;
    const type = isTaskDefinition(task) ? task.type : task;
    if (typeof type !== 'string')
      throw invalidInput([{ pointer: `${at}/task`, detail: 'must be a definition, or its type' }]);
    const plain = readPlain(options);
    if ('fault' in plain)
      throw invalidInput([{ ...plain.fault, pointer: `${at}${plain.fault.pointer.slice(1)}` }]);
    return [name, { ...(plain.value as object), type }];
  });
  // Defines properties, whatever their names are.
  return { ...rest, tasks: Object.fromEntries(steps) };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
