// Makes tasks of the steps of a workflow: for one that is sent, and for those that a schedule will start.

import type { Accept } from '../accept/accept.ts';
import type { Position, Prepared, Sender } from '../accept/new-task.ts';
import { compact } from '../protocol/compact.ts';
import type { Call } from '../protocol/options.ts';
import { referencesIn } from '../protocol/references.ts';
import type { ScheduledStep, WorkflowSchedule } from '../protocol/schedule.ts';
import { atStep, checkSteps, type StepCall } from '../protocol/workflow.ts';

export interface PreparedStep {
  readonly name: string;
  readonly call: StepCall;
  readonly prepared: Prepared;
}

/**
 * Checks steps, each by itself and all together.
 * @param id of their workflow
 * @param at JSON Pointer of the workflow within the request, without `#`
 * @throws PopfleetError `invalid-input`, `unknown-type`, `forbidden`
 */
export function prepareSteps(
  accept: Pick<Accept, 'prepare'>,
  id: string,
  given: Readonly<Record<string, StepCall>>,
  sender: Sender,
  at = '',
): readonly PreparedStep[] {
  const tasks = new Map(Object.entries(given));
  checkSteps(tasks, at);
  return Array.from(tasks, ([name, call]) => {
    const { needs: _needs, onNeedFailed: _policy, ...rest } = call;
    const [ofCall, ofInput] = [`${at}${atStep(name)}`, `${at}${atStep(name, 'input')}`];
    const position: Position = { call: ofCall, input: ofInput, queue: '`queue`' };
    const isLater = referencesIn(call.input, '').length > 0;
    const one = compact<Call>({ ...rest, input: call.input === undefined ? {} : call.input });
    const step = { workflow: { id, step: name }, isLater };
    return { name, call, prepared: accept.prepare(one, sender, position, step) };
  });
}

/**
 * A schedule that starts a workflow, with its queue, which has the records, and with its steps as the workers need them that make its ticks.
 * @throws PopfleetError `invalid-input`, `unknown-type`, `forbidden`, `queue-full`
 */
export async function prepareWorkflowSchedule(
  accept: Pick<Accept, 'prepare' | 'admitQueue'>,
  schedule: WorkflowSchedule,
  caller: Pick<Sender, 'queues'>,
): Promise<WorkflowSchedule & { readonly queue: string }> {
  const sender: Sender = { key: undefined, queues: caller.queues, traceparent: undefined };
  const prepared = prepareSteps(accept, '', schedule.workflow.tasks, sender, '/workflow');
  const queue = schedule.queue ?? prepared[0]?.prepared.queue ?? '';
  for (const one of new Set([queue, ...prepared.map((step) => step.prepared.queue)]))
    await accept.admitQueue(one, sender);
  const steps = prepared.map(({ name, prepared: { queue: ofStep, task } }): ScheduledStep => {
    return [name, ofStep, task.lane, JSON.stringify(task.extras ?? {})];
  });
  return { ...schedule, queue, steps };
}
