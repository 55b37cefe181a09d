// Workflows that schedules start. A tick writes the record, and a draft of the tasks of its steps, in the step in which it plans the next
// tick; whoever relays the entry `begin` of the outbox has the steps accepted (workflows/begin-workflow.ts).

import type { Redis } from 'ioredis';
import { decodeStored, encodeCbor } from '../protocol/cbor.ts';
import { compact } from '../protocol/compact.ts';
import { encodeContent } from '../protocol/message.ts';
import { toMessageOptions } from '../protocol/options.ts';
import type { WorkflowSchedule } from '../protocol/schedule.ts';
import { derivedTaskId } from '../protocol/task-id.ts';
import { type EndpointRules, recordWebhooks } from './endpoint-rules.ts';
import { homeOf, keyOf } from './keys.ts';
import type { NewTask } from './new-task.ts';
import { writeLink } from './outbox.ts';
import type { ScriptArgument } from './script-call.ts';
import type { WorkflowPlan, WorkflowStep } from './workflows.ts';

/** A tick of a schedule. */
interface Tick {
  /** Of the schedule. */
  readonly queue: string;
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly due: number;
}

/** What a tick starts: its id, and what tick.lua gets of it. */
interface StartedWorkflow {
  readonly id: string;
  readonly args: readonly ScriptArgument[];
}

/**
 * The workflow of one tick: always the same one, under ids that derive from the schedule and the time of the tick.
 * @throws Error when an input cannot be encoded
 */
export function workflowOfTick(
  { workflow, steps = [] }: WorkflowSchedule,
  tick: Tick,
  rules: EndpointRules,
): StartedWorkflow {
  const { queue, name, due } = tick;
  const id = derivedTaskId(due, `${queue} ${name} ${due}`);
  const prepared = new Map(steps.map((one) => [one[0], one]));
  const plan: WorkflowStep[] = [];
  const tasks: NewTask[] = [];
  for (const [step, call] of Object.entries(workflow.tasks)) {
    const [, ofStep = queue, lane = 'normal', extras = '{}'] = prepared.get(step) ?? [];
    const { type, input = {}, needs = [], onNeedFailed = 'fail' } = call;
    const taskId = derivedTaskId(due, `${id} ${step}`);
    plan.push({ step, id: taskId, type, queue: ofStep, needs, onNeedFailed });
    const options = { ...toMessageOptions(call), workflow: { id, step } };
    const content = encodeContent(type, input, options);
    tasks.push({ id: taskId, content, lane, extras: JSON.parse(extras) as NewTask['extras'] });
  }
  const record = compact<WorkflowPlan>({
    id,
    home: queue,
    name: workflow.name,
    cancelSiblings: workflow.cancelSiblings,
    schedule: { name, due },
    steps: plan,
  });
  const webhooks = recordWebhooks(rules, 'workflow', queue);
  const followers = [
    writeLink({ kind: 'begin', queue, id }),
    ...plan.map((step) => writeLink({ kind: 'step', queue: step.queue, id: step.id })),
    ...webhooks,
  ];
  const draft = encodeCbor(tasks.map((task) => compact(task)));
  return { id, args: [id, JSON.stringify(record), followers.join(' '), plan.length, webhooks.length, draft] };
}

/**
 * The tasks of a workflow whose steps are not accepted yet, in the order of its steps.
 * @returns `undefined` when it has begun, or was taken back; none when another program has spoilt them
 * @throws Error of ioredis
 */
export async function readDraft(
  client: Redis,
  home: string,
  id: string,
): Promise<readonly NewTask[] | undefined> {
  const bytes = await client.hgetBuffer(keyOf(homeOf(home), 'workflow-drafts'), id);
  if (!bytes) return undefined;
  const tasks = decodeStored(bytes);
  if (!Array.isArray(tasks)) return [];
  return (tasks as readonly NewTask[]).map(({ id: task, content, lane, extras }) => {
    return { id: task, content: Buffer.from(content), lane, extras };
  });
}
