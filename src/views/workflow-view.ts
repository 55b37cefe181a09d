// A workflow as callers see it.

import * as v from 'valibot';
import { compact } from '../protocol/compact.ts';
import { decodeStored } from '../protocol/cbor.ts';
import { readTaskError } from '../protocol/task-error.ts';
import { toOptionalTime, toTime } from '../protocol/time-text.ts';
import type { TaskRecord } from '../store/record.ts';
import { WORKFLOW_STATES, type WorkflowRecord, type WorkflowStep } from '../store/workflows.ts';
import { named } from './component.ts';
import { taskEntries, taskPath } from './task-view.ts';

const Time = v.pipe(v.string(), v.isoTimestamp());

const StepView = v.object({
  step: v.pipe(v.string(), v.description('its name')),
  task: v.pipe(v.string(), v.description('id of its task')),
  type: v.string(),
  queue: v.string(),
  needs: v.array(v.string()),
  onNeedFailed: v.picklist(['fail', 'run', 'cancel']),
  state: v.pipe(taskEntries.state, v.description('`removed` when its task is no longer kept')),
  result: v.exactOptional(
    v.pipe(v.unknown(), v.description('absent when the results of a workflow are large: its task has it')),
  ),
  error: v.exactOptional(v.object({ name: v.string(), message: v.string() })),
  startedAt: v.exactOptional(v.pipe(Time, v.description('of its latest run'))),
  finishedAt: v.exactOptional(Time),
  progress: v.exactOptional(v.pipe(v.unknown(), v.description('what its handler has said last'))),
  links: v.object({ self: v.string() }),
});

const rowEntries = {
  id: v.string(),
  name: v.exactOptional(v.string()),
  state: v.picklist(WORKFLOW_STATES),
  queue: v.pipe(v.string(), v.description('its home queue, which has its record')),
  generation: v.pipe(v.number(), v.description('1, and one more with each retry')),
  counts: v.object({
    total: v.pipe(v.number(), v.description('steps')),
    ended: v.number(),
    succeeded: v.number(),
    dead: v.number(),
    cancelled: v.number(),
  }),
  schedule: v.exactOptional(
    v.pipe(v.object({ name: v.string(), due: Time }), v.description('the tick that has started it')),
  ),
  cancelling: v.exactOptional(v.pipe(v.boolean(), v.description('what has not ended is being cancelled'))),
  acceptedAt: Time,
  startedAt: v.exactOptional(Time),
  endedAt: v.exactOptional(Time),
  links: v.object({ self: v.string() }),
};
export const WorkflowRowSchema = named('WorkflowRow', v.object(rowEntries));
export const WorkflowViewSchema = named(
  'Workflow',
  v.object({ ...rowEntries, steps: v.array(named('WorkflowStep', StepView)) }),
);
export type WorkflowRow = v.InferOutput<typeof WorkflowRowSchema>;
export type WorkflowView = v.InferOutput<typeof WorkflowViewSchema>;
type StepView = v.InferOutput<typeof StepView>;

/** Bytes of results that a view shows, about. */
const RESULT_BYTES_SHOWN = 1_048_576;

export function workflowPath(id: string, basePath: string): string {
  return `${basePath}/v1/workflows/${id}`;
}

export function toWorkflowRow({ plan, progress, ends }: WorkflowRecord, basePath: string): WorkflowRow {
  const states = [...ends.values()]
    .filter(({ generation, state }) => state === 'succeeded' || generation === progress.generation)
    .map(({ state }) => state);
  const count = (state: string): number => states.filter((one) => one === state).length;
  return compact<WorkflowRow>({
    id: plan.id,
    name: plan.name,
    state: progress.state,
    queue: plan.home,
    generation: progress.generation,
    counts: {
      total: plan.steps.length,
      ended: states.length,
      succeeded: count('succeeded'),
      dead: count('dead'),
      cancelled: count('cancelled'),
    },
    schedule: plan.schedule && { name: plan.schedule.name, due: toTime(plan.schedule.due) },
    cancelling: progress.isCancelling,
    acceptedAt: toTime(progress.acceptedAt),
    startedAt: toOptionalTime(progress.startedAt),
    endedAt: toOptionalTime(progress.endedAt),
    links: { self: workflowPath(plan.id, basePath) },
  });
}

/** @param tasks of its steps, as far as they are kept */
export function toWorkflowView(
  record: WorkflowRecord,
  tasks: readonly TaskRecord[],
  basePath: string,
  showsResults = true,
): WorkflowView {
  const byId = new Map(tasks.map((task) => [task.id, task]));
  let bytes = 0;
  const steps = record.plan.steps.map((step) => {
    const task = byId.get(step.id);
    bytes += task?.result?.length ?? 0;
    const ended = record.ends.get(step.id)?.state;
    return toStepView(
      step,
      task,
      task?.state ?? ended ?? 'removed',
      showsResults && bytes <= RESULT_BYTES_SHOWN,
      basePath,
    );
  });
  return { ...toWorkflowRow(record, basePath), steps };
}

function toStepView(
  { step, id, type, queue, needs, onNeedFailed }: WorkflowStep,
  task: TaskRecord | undefined,
  state: string,
  showsResult: boolean,
  basePath: string,
): StepView {
  const error = task?.error && task.state !== 'succeeded' ? readTaskError(task.error) : undefined;
  return compact<StepView>({
    step,
    task: id,
    type,
    queue,
    needs: [...needs],
    onNeedFailed,
    state,
    result: showsResult ? task?.result && decodeStored(task.result) : undefined,
    error: error && { name: error.name, message: error.message },
    startedAt: toOptionalTime(task?.startedAt),
    finishedAt: toOptionalTime(task?.finishedAt),
    progress: task?.progress && decodeStored(task.progress),
    links: { self: taskPath(id, basePath) },
  });
}
