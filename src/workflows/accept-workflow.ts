// Accepts workflows, and retries them: a record, then waiting tasks, then the commit that lets them begin.

import type { Accept } from '../accept/accept.ts';
import { recordKeyReused } from '../accept/idempotency.ts';
import type { Position, Prepared, Sender } from '../accept/new-task.ts';
import { ownedKey } from '../accept/owned-key.ts';
import { compact } from '../protocol/compact.ts';
import { PopfleetError } from '../protocol/errors.ts';
import type { Call } from '../protocol/options.ts';
import { referencesIn } from '../protocol/references.ts';
import { requestDigest } from '../protocol/request-digest.ts';
import { newTaskId } from '../protocol/task-id.ts';
import { invalidInput } from '../protocol/validate.ts';
import { atStep, checkSteps, type StepCall, type WorkflowCall } from '../protocol/workflow.ts';
import { needOf, type WaitingTask } from '../store/needs.ts';
import { writeLink } from '../store/outbox.ts';
import {
  CONFIRM_WITHIN_MS,
  type WorkflowPlan,
  type WorkflowRecord,
  type Workflows,
  type WorkflowStep,
} from '../store/workflows.ts';

/** Steps that one call accepts. */
const STEPS_A_CALL = 100;

/** The workflow that a caller has now. */
interface AcceptedWorkflow {
  readonly id: string;
  readonly home: string;
  /** Its key has found one that was there. */
  readonly isReplayed: boolean;
}

export interface AcceptWorkflow {
  /**
   * Accepts a workflow that was validated, whole or not at all.
   * @throws PopfleetError `invalid-input`, `unknown-type`, `forbidden`, what the limits refuse, `idempotency-key-reused`,
   *   `redis-unavailable`, `redis-full`
   */
  accept(call: WorkflowCall, sender: Sender): Promise<AcceptedWorkflow>;
  /**
   * Runs the steps again that have not succeeded, under their ids.
   * @throws PopfleetError `invalid-state`, `redis-unavailable`, `redis-full`
   */
  retry(record: WorkflowRecord): Promise<void>;
}

export interface AcceptWorkflowDeps {
  readonly accept: Pick<Accept, 'prepare' | 'admitMany'>;
  readonly store: Workflows;
}

interface PreparedStep {
  readonly name: string;
  readonly call: StepCall;
  readonly prepared: Prepared;
}

export function createAcceptWorkflow({ accept, store }: AcceptWorkflowDeps): AcceptWorkflow {
  function prepare(workflow: string, tasks: ReadonlyMap<string, StepCall>, sender: Sender): PreparedStep[] {
    return Array.from(tasks, ([name, call]) => {
      const { needs: _needs, onNeedFailed: _policy, ...rest } = call;
      const at: Position = { call: atStep(name), input: atStep(name, 'input'), queue: '`queue`' };
      const isLater = referencesIn(call.input, '').length > 0;
      const one = compact<Call>({ ...rest, input: call.input === undefined ? {} : call.input });
      return {
        name,
        call,
        prepared: accept.prepare(one, sender, at, { workflow: { id: workflow, step: name }, isLater }),
      };
    });
  }

  return {
    async accept(call, sender) {
      const tasks = new Map(Object.entries(call.tasks));
      checkSteps(tasks);
      const id = newTaskId();
      const steps = prepare(id, tasks, sender);
      const plan = planOf(id, call, steps, sender);
      if (plan.key !== undefined) {
        const known = await store.findKey(plan.home, plan.key);
        if (known) return replayed(plan, known, requestDigest(call));
      }
      await accept.admitMany(
        steps.map(({ prepared }) => prepared),
        sender,
      );
      const links = plan.steps.map(({ id: task, queue }) => writeLink({ kind: 'step', queue, id: task }));
      const opened = await store.open(plan, requestDigest(call), links.join(' '));
      if (opened.word === 'replayed' || opened.word === 'conflict') return replayed(plan, opened);
      await commitOrWithdraw(store, plan.home, id, 1, () => acceptSteps(store, plan, steps));
      return { id, home: plan.home, isReplayed: false };
    },

    async retry({ plan, ends }) {
      const { home, id } = plan;
      const { state, generation, again } = await store.retry(home, id);
      if (state !== 'accepting' || again.length === 0) {
        throw new PopfleetError(
          'invalid-state',
          `The workflow is ${state}: only one that is dead, or was cancelled after it had begun, can be retried.`,
        );
      }
      const left = new Set(again);
      const generationOf = (step: WorkflowStep): number =>
        left.has(step.id) ? generation : (ends.get(step.id)?.generation ?? 1);
      await commitOrWithdraw(store, home, id, generation, async () => {
        const steps = plan.steps.filter((step) => left.has(step.id));
        for (const [queue, ofQueue] of byQueue(steps, (step) => step.queue)) {
          const texts = ofQueue.map((step) => ({
            id: step.id,
            needs: writeNeeds(step.onNeedFailed, needsOf(plan, step, generation, generationOf)),
          }));
          for (let at = 0; at < texts.length; at += STEPS_A_CALL) {
            const answers = await store.waitAgain(queue, generation, texts.slice(at, at + STEPS_A_CALL));
            if (answers.includes('gone')) throw stepsGone();
          }
        }
      });
    },
  };
}

function stepsGone(): PopfleetError {
  return new PopfleetError(
    'invalid-state',
    'Tasks of this workflow are no longer kept, so it cannot be retried: send it again.',
  );
}

function replayed(
  { home }: WorkflowPlan,
  { word, id, digest }: { readonly word?: string; readonly id: string; readonly digest?: string },
  own?: string,
): AcceptedWorkflow {
  if (word === 'conflict' || (digest !== undefined && digest !== own)) {
    throw recordKeyReused('workflow', id);
  }
  return { id, home, isReplayed: true };
}

function planOf(
  id: string,
  call: WorkflowCall,
  steps: readonly PreparedStep[],
  sender: Sender,
): WorkflowPlan {
  // The home of a workflow with a key has to be the same when it is sent again.
  const home = steps[0]?.prepared.queue;
  if (home === undefined) throw invalidInput([{ pointer: '#/tasks', detail: 'must have a step at least' }]);
  const key = call.key === undefined ? undefined : ownedKey(sender.key, call.key);
  return compact<WorkflowPlan>({
    id,
    home,
    name: call.name,
    key,
    cancelSiblings: call.cancelSiblings,
    steps: steps.map(({ name, call: { type, needs = [], onNeedFailed = 'fail' }, prepared }) => ({
      step: name,
      id: prepared.task.id,
      type,
      queue: prepared.queue,
      needs,
      onNeedFailed,
    })),
  });
}

/** The steps of a plan, each with the needs of its task. */
function needsOf(
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

/** Name of the need that is met when the workflow is committed. No step has it. */
const START = '(start)';

async function acceptSteps(
  store: Workflows,
  plan: WorkflowPlan,
  prepared: readonly PreparedStep[],
): Promise<void> {
  const dependents = new Map<string, WorkflowStep[]>();
  for (const step of plan.steps) {
    for (const need of step.needs) dependents.set(need, [...(dependents.get(need) ?? []), step]);
  }
  const waiting = plan.steps.map((step, at): { readonly queue: string; readonly task: WaitingTask } => {
    const { task } = (prepared[at] as PreparedStep).prepared;
    const links = [
      writeLink({ kind: 'workflow', queue: plan.home, id: plan.id }),
      ...(dependents.get(step.step) ?? []).map(({ queue, id }) => writeLink({ kind: 'need', queue, id })),
    ];
    const follower = [...links, ...(task.extras?.follower === undefined ? [] : [task.extras.follower])].join(
      ' ',
    );
    const { id: workflow, home } = plan;
    const own = { is_held: true, generation: 1, home, workflow, name: step.step } as const;
    const extras = { ...task.extras, follower, step: own, confirmWithinMs: CONFIRM_WITHIN_MS };
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

/** What is written meanwhile begins together, or is taken back. */
async function commitOrWithdraw(
  store: Workflows,
  home: string,
  id: string,
  generation: number,
  write: () => Promise<void>,
): Promise<void> {
  try {
    await write();
  } catch (error) {
    // Should that fail too, the sweep takes it back.
    await store.withdraw(home, id, generation).catch(() => undefined);
    throw error;
  }
  const { state } = await store.commit(home, id, generation);
  if (state === 'accepting' || state === 'cancelled' || state === 'unknown') {
    throw new PopfleetError(
      'redis-unavailable',
      'Writing the steps of the workflow took too long, so it was taken back: send it again.',
    );
  }
}

function byQueue<One>(
  all: readonly One[],
  queueOf: (one: One) => string,
): ReadonlyMap<string, readonly One[]> {
  const queues = new Map<string, One[]>();
  for (const one of all) queues.set(queueOf(one), [...(queues.get(queueOf(one)) ?? []), one]);
  return queues;
}

/** As the column `needs` has it. */
function writeNeeds(policy: string, needs: WaitingTask['needs']): string {
  return [policy, ...needs.flatMap(({ need, name }) => [need, name])].join(' ');
}
