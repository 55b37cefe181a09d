// The steps of a workflow as tasks that wait: for its start, and for each other.

import { needOf, type WaitingTask } from '../store/needs.ts';
import type { NewTask } from '../store/new-task.ts';
import { writeLink } from '../store/outbox.ts';
import {
  CONFIRM_WITHIN_MS,
  type WorkflowPlan,
  type Workflows,
  type WorkflowStep,
} from '../store/workflows.ts';

/** Steps that one call accepts. */
export const STEPS_A_CALL = 100;

/** Name of the need that is met when the workflow is committed. No step has it. */
const START = '(start)';

/** What the task of a step needs, in a generation. */
export function needsOf(
  { id, steps }: WorkflowPlan,
  step: WorkflowStep,
  generation: number,
  generationOf: (step: WorkflowStep) => number,
): WaitingTask['needs'] {
  const needed = steps.filter(({ step: name }) => step.needs.includes(name));
  return [
    { need: needOf(id, `start-${generation}`), name: START },
    ...needed.map((one) => ({ need: needOf(one.id, `g${generationOf(one)}`), name: one.step })),
  ];
}

/**
 * Accepts all steps of a workflow, of its first generation. A repeat finds them by their ids.
 * @param tasks in the order of the steps of the plan
 * @throws PopfleetError `redis-unavailable`, `redis-full`
 */
export async function acceptSteps(
  store: Pick<Workflows, 'accept'>,
  plan: WorkflowPlan,
  tasks: readonly NewTask[],
): Promise<void> {
  const dependents = new Map<string, WorkflowStep[]>();
  for (const step of plan.steps) {
    for (const need of step.needs) dependents.set(need, [...(dependents.get(need) ?? []), step]);
  }
  const { id: workflow, home } = plan;
  const waiting = plan.steps.map((step, at): { readonly queue: string; readonly task: WaitingTask } => {
    const task = tasks[at] as NewTask;
    const links = [
      writeLink({ kind: 'workflow', queue: home, id: workflow }),
      ...(dependents.get(step.step) ?? []).map(({ queue, id }) => writeLink({ kind: 'need', queue, id })),
    ];
    const own = task.extras?.follower;
    const follower = (own === undefined ? links : [...links, own]).join(' ');
    const ofWorkflow = { is_held: true, generation: 1, home, workflow, name: step.step } as const;
    const extras = { ...task.extras, follower, step: ofWorkflow, confirmWithinMs: CONFIRM_WITHIN_MS };
    const needs = needsOf(plan, step, 1, () => 1);
    return { queue: step.queue, task: { ...task, extras, needs, onNeedFailed: step.onNeedFailed } };
  });
  for (const [queue, ofQueue] of byQueue(waiting, (one) => one.queue)) {
    for (let at = 0; at < ofQueue.length; at += STEPS_A_CALL) {
      await store.accept(
        queue,
        ofQueue.slice(at, at + STEPS_A_CALL).map(({ task }) => task),
      );
    }
  }
}

export function byQueue<One>(
  all: readonly One[],
  queueOf: (one: One) => string,
): ReadonlyMap<string, readonly One[]> {
  const queues = new Map<string, One[]>();
  for (const one of all) queues.set(queueOf(one), [...(queues.get(queueOf(one)) ?? []), one]);
  return queues;
}
