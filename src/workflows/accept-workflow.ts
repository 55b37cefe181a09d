// Accepts workflows, and retries them: a record, then waiting tasks, then the commit that lets them begin.

import type { Accept } from '../accept/accept.ts';
import { recordKeyReused } from '../accept/idempotency.ts';
import type { Sender } from '../accept/new-task.ts';
import { ownedKey } from '../accept/owned-key.ts';
import { compact } from '../protocol/compact.ts';
import { PopfleetError } from '../protocol/errors.ts';
import { requestDigest } from '../protocol/request-digest.ts';
import { newTaskId } from '../protocol/task-id.ts';
import { invalidInput } from '../protocol/validate.ts';
import type { WorkflowCall } from '../protocol/workflow.ts';
import type { WaitingTask } from '../store/needs.ts';
import { writeLink } from '../store/outbox.ts';
import type { WorkflowPlan, WorkflowRecord, Workflows, WorkflowStep } from '../store/workflows.ts';
import { type PreparedStep, prepareSteps } from './prepare-steps.ts';
import { acceptSteps, byQueue, needsOf, STEPS_A_CALL } from './waiting-steps.ts';

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
   * @param homeQueue has its record; that of its first step unless given
   * @throws PopfleetError `invalid-input`, `unknown-type`, `forbidden`, what the limits refuse, `idempotency-key-reused`,
   *   `redis-unavailable`, `redis-full`
   */
  accept(call: WorkflowCall, sender: Sender, homeQueue?: string): Promise<AcceptedWorkflow>;
  /**
   * Runs the steps again that have not succeeded, under their ids.
   * @throws PopfleetError `invalid-state`, `redis-unavailable`, `redis-full`
   */
  retry(record: WorkflowRecord): Promise<void>;
}

export interface AcceptWorkflowDeps {
  readonly accept: Pick<Accept, 'prepare' | 'admitMany' | 'around'>;
  readonly store: Workflows;
}

export function createAcceptWorkflow({ accept, store }: AcceptWorkflowDeps): AcceptWorkflow {
  return {
    async accept(call, sender, homeQueue) {
      const id = newTaskId();
      const steps = prepareSteps(accept, id, call.tasks, sender);
      const plan = planOf(id, call, steps, sender, homeQueue);
      if (plan.key !== undefined) {
        const known = await store.findKey(plan.home, plan.key);
        if (known) return replayed(plan, known, requestDigest(call));
      }
      const prepared = steps.map((step) => step.prepared);
      await accept.admitMany(prepared, sender);
      const links = plan.steps.map(({ id: task, queue }) => writeLink({ kind: 'step', queue, id: task }));
      const opened = await store.open(plan, requestDigest(call), links.join(' '));
      if (opened.word === 'replayed' || opened.word === 'conflict') return replayed(plan, opened);
      const tasks = prepared.map(({ task }) => task);
      await accept.around(prepared, () =>
        commitOrWithdraw(store, plan.home, id, 1, () => acceptSteps(store, plan, tasks)),
      );
      return { id, home: plan.home, isReplayed: false };
    },

    async retry({ plan, ends }) {
      const { home, id } = plan;
      // A retry that is refused changes nothing: what is known beforehand is asked before the record begins anew.
      const toRun = plan.steps.filter((step) => ends.get(step.id)?.state !== 'succeeded');
      if ((await store.tasks(toRun)).length < toRun.length) throw stepsGone();
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
            if (answers.includes('later')) throw takenBackStill();
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

function takenBackStill(): PopfleetError {
  return new PopfleetError(
    'redis-unavailable',
    'The retry before this one took too long, and its steps are still being taken back: send it again in a moment.',
    { retryAfterSeconds: 1 },
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
  homeQueue: string | undefined,
): WorkflowPlan {
  // The home of a workflow with a key has to be the same when it is sent again.
  const home = homeQueue ?? steps[0]?.prepared.queue;
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
      { retryAfterSeconds: 1 },
    );
  }
}

/** As the column `needs` has it. */
function writeNeeds(policy: string, needs: WaitingTask['needs']): string {
  return [policy, ...needs.flatMap(({ need, name }) => [need, name])].join(' ');
}
