// Tells of ends those that follow them without being tasks to accept: tasks that wait for them, records of workflows, parents; and has
// workflows start, cancel and let go of their steps. All of it may be done twice.

import type { Redis } from 'ioredis';
import { encodeCbor } from '../protocol/cbor.ts';
import { cancelChildren, tellParents } from '../children/links.ts';
import { fingerprintOf } from '../protocol/fingerprint.ts';
import type { TaskError } from '../protocol/task-error.ts';
import { writeErrorGroup } from '../store/error-groups.ts';
import { countEnds, createBatches, type MemberEnd } from '../store/batches.ts';
import { homeOf } from '../store/keys.ts';
import { type NeedOutcome, type Settlement, settleNeeds } from '../store/needs.ts';
import type { Link, OutboxEntry } from '../store/outbox.ts';
import { actOnSteps, createWorkflows, type StepAct, type StepEnd } from '../store/workflows.ts';
import { toBatchView } from '../views/batch-view.ts';
import { toWorkflowRow } from '../views/workflow-view.ts';
import { beginWorkflow } from './begin-workflow.ts';
import { asNeed, errorOfEnd } from './error-of-end.ts';

/** A link, and the entry of which it is told. */
interface Telling {
  readonly entry: OutboxEntry;
  readonly link: Link;
}

export interface Links {
  /**
   * @param tellings all of one kind and queue
   * @returns queues to whose outbox that has appended
   * @throws Error of ioredis
   */
  tell(kind: Link['kind'], queue: string, tellings: readonly Telling[]): Promise<readonly string[]>;
  /** A workflow, or a batch, as webhooks show it; `undefined` when it cannot be read. @throws Error of ioredis */
  record(queue: string, id: string): Promise<object | undefined>;
}

/** All failed needs share a group: what has failed is an error of its own. */
const TYPE = 'workflow';
/** Of the message of an error in that of another one. */
const QUOTED_CHARS = 200;

/** @param client a connection of `openCommandConnection` */
export function createLinks(client: Redis): Links {
  const workflows = createWorkflows(client);

  async function actOn(queue: string, tellings: readonly Telling[]): Promise<number> {
    let appended = 0;
    // An entry of a workflow is about all of its steps.
    for (const name of new Set(tellings.map(({ entry }) => entry.name))) {
      const [, what = '', generation] = /:([a-z]+)-(\d+)$/.exec(name) ?? [];
      const ids = tellings.filter(({ entry }) => entry.name === name).map(({ link }) => link.id);
      if (what === 'start') {
        const all = ids.map((id) => ({ id, need: name, outcome: 'succeeded' }) as const);
        appended += (await settleNeeds(client, homeOf(queue), all)).appended;
      } else {
        appended += await actOnSteps(client, homeOf(queue), what as StepAct, Number(generation), ids);
      }
    }
    return appended;
  }

  async function disown(queue: string, tellings: readonly Telling[]): Promise<readonly string[]> {
    const cancelled = tellings.filter(({ entry }) => entry.state === 'cancelled');
    const appendedTo: string[] = [];
    for (const { link } of cancelled) appendedTo.push(...(await cancelChildren(client, queue, link.id)));
    return appendedTo;
  }

  async function begin(queue: string, tellings: readonly Telling[]): Promise<readonly string[]> {
    let appended = 0;
    for (const id of new Set(tellings.map(({ link }) => link.id)))
      appended += await beginWorkflow(client, workflows, queue, id);
    return appended > 0 ? [queue] : [];
  }

  /** A step that is cancelled with its workflow ends what needs it as a cancel, whichever of both is reached first. */
  async function settlementsOf(tellings: readonly Telling[]): Promise<readonly Settlement[]> {
    const cancelled = tellings.filter(({ entry }) => entry.state === 'cancelled' && entry.step);
    const flows = new Map(cancelled.map(({ entry: { step } }) => [step?.workflow ?? '', step?.home ?? '']));
    const cancelling = new Set<string>();
    for (const [id, home] of flows) if (await workflows.isCancelling(home, id)) cancelling.add(id);
    return tellings.map((telling) =>
      settlementOf(
        { ...telling, entry: asNeed(telling.entry) },
        cancelling.has(telling.entry.step?.workflow ?? ''),
      ),
    );
  }

  return {
    async tell(kind, queue, tellings) {
      const own = (appended: number): readonly string[] => (appended > 0 ? [queue] : []);
      switch (kind) {
        case 'need':
          return own((await settleNeeds(client, homeOf(queue), await settlementsOf(tellings))).appended);
        case 'workflow':
          return own((await workflows.ended(queue, tellings.flatMap(endOf))).appended);
        case 'step':
          return own(await actOn(queue, tellings));
        case 'child':
          await tellParents(
            client,
            queue,
            tellings.map(({ entry, link }) => ({ entry, parent: link.id })),
          );
          return [];
        case 'children':
          return disown(queue, tellings);
        case 'begin':
          return begin(queue, tellings);
        case 'batch':
          return own(await countEnds(client, queue, tellings.flatMap(memberEndOf)));
      }
    },

    async record(queue, id) {
      const workflow = await workflows.find(id, [queue]);
      if (workflow) return toWorkflowRow(workflow, '');
      const batch = await createBatches(client).find(id, [queue]);
      return batch && toBatchView(batch, '');
    },
  };
}

function settlementOf({ entry, link }: Telling, isCancelling: boolean): Settlement {
  const { name: need, state, result, step } = entry;
  if (state === 'succeeded') return { id: link.id, need, outcome: 'succeeded', value: result };
  if (state === 'cancelled' && isCancelling) return { id: link.id, need, outcome: 'withdrawn' };
  const error = errorOfEnd(entry);
  const failure = failureOf(step?.name ?? entry.id, state, error);
  return {
    id: link.id,
    need,
    outcome: state as NeedOutcome,
    value: encodeCbor(error),
    failure: encodeCbor(failure),
    group: writeErrorGroup(TYPE, failure),
  };
}

/** With what a task ends whose need has failed. */
function failureOf(source: string, state: string, error: TaskError): TaskError {
  const message = `the step "${source}" that it needs is ${state}: ${error.name}: ${error.message.slice(0, QUOTED_CHARS)}`;
  const { name, message: text } = error;
  const failure = { name: 'NeedFailed', message, cause: { name, message: text } };
  return { ...failure, fingerprint: fingerprintOf(TYPE, failure) };
}

function memberEndOf({ entry: { name, state }, link }: Telling): MemberEnd[] {
  const [batch = '', number] = link.id.split('/');
  const [, latest] = /:(\d+)$/.exec(name) ?? [];
  return latest === undefined ? [] : [{ batch, number: Number(number), latest: Number(latest), state }];
}

function endOf({ entry: { id, name, state }, link }: Telling): StepEnd[] {
  const [, generation] = /:g(\d+)$/.exec(name) ?? [];
  if (generation === undefined) return [];
  return [{ workflow: link.id, task: id, generation: Number(generation), state }];
}
