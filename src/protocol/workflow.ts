// What a caller says of a workflow, and whether its steps can be put in an order.

import * as v from 'valibot';
import type { FieldFault } from './errors.ts';
import { callEntries } from './options.ts';
import { recordEntries } from './record-entries.ts';
import { referencesIn } from './references.ts';
import { invalidInput, pointerBelow } from './validate.ts';

/** A name of a step. */
const STEP_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}$/;
const MOST_STEPS = 1_000;
/** RFC 6901: `~` stands before 0 or 1. */
const POINTER = /^(?:\/(?:[^~]|~[01])*)?$/;
/** Faults that one answer names. */
const FAULTS_NAMED = 20;

const { key: _key, keyWindowMs: _window, durability: _durability, ...stepOptions } = callEntries;

const StepSchema = v.strictObject({
  type: v.string(),
  input: v.optional(v.unknown()),
  needs: v.optional(v.array(v.string('must be the name of a step'), 'must be a list of names of steps')),
  onNeedFailed: v.optional(v.picklist(['fail', 'run', 'cancel'], 'must be fail, run or cancel')),
  ...stepOptions,
});

/** A schedule starts its steps again and again: none has a time of its own. */
const ScheduledStepSchema = v.omit(StepSchema, ['runAt', 'expiresAt']);

/** The steps by their names. */
function stepsOf<Step extends v.GenericSchema>(step: Step) {
  return v.pipe(
    v.record(v.pipe(v.string(), v.regex(STEP_NAME, `must match ${STEP_NAME.source}`)), step),
    v.check((tasks) => Object.keys(tasks).length > 0, 'must have a step at least'),
    v.check((tasks) => Object.keys(tasks).length <= MOST_STEPS, `must have at most ${MOST_STEPS} steps`),
    v.description('The steps by their names.'),
  );
}

const { key: keyEntry, ...nameEntries } = recordEntries('workflow');
const flowEntries = {
  ...nameEntries,
  cancelSiblings: v.optional(
    v.pipe(v.boolean(), v.description('When a step is dead, all that have not ended are cancelled.')),
  ),
};

export const WorkflowSchema = v.strictObject({ ...flowEntries, key: keyEntry, tasks: stepsOf(StepSchema) });
export type WorkflowCall = v.InferOutput<typeof WorkflowSchema>;
export type StepCall = v.InferOutput<typeof StepSchema>;

/** A workflow that a schedule starts. */
export const ScheduledWorkflowSchema = v.strictObject({
  ...flowEntries,
  tasks: stepsOf(ScheduledStepSchema),
});
export type ScheduledWorkflow = v.InferOutput<typeof ScheduledWorkflowSchema>;

/**
 * Checks how the steps need each other, and what their inputs refer to.
 * @param at JSON Pointer of the workflow within the request, without `#`
 * @throws PopfleetError `invalid-input` that names the places
 */
export function checkSteps(tasks: ReadonlyMap<string, StepCall>, at = ''): void {
  const faults: FieldFault[] = [];
  for (const [name, step] of tasks)
    faults.push(...faultsOfNeeds(tasks, name, step), ...faultsOfInput(name, step));
  if (faults.length === 0) faults.push(...faultsOfCycle(tasks));
  if (faults.length === 0) return;
  const named = faults.slice(0, FAULTS_NAMED);
  throw invalidInput(named.map(({ pointer, detail }) => ({ pointer: `#${at}${pointer.slice(1)}`, detail })));
}

/** JSON Pointer of a part of a step, without `#`. */
export function atStep(name: string, ...path: readonly string[]): string {
  return `/tasks/${[name, ...path].join('/')}`;
}

function faultsOfNeeds(
  tasks: ReadonlyMap<string, StepCall>,
  name: string,
  { needs = [] }: StepCall,
): FieldFault[] {
  return needs.flatMap((need, at) => {
    const pointer = `#${atStep(name, 'needs', String(at))}`;
    if (!tasks.has(need)) return [{ pointer, detail: 'is the name of no step' }];
    if (needs.indexOf(need) < at) return [{ pointer, detail: 'is named twice' }];
    return [];
  });
}

function faultsOfInput(name: string, { input, needs = [] }: StepCall): FieldFault[] {
  return referencesIn(input, atStep(name, 'input')).flatMap(({ pointer, step, path, hasOthers }) => {
    if (typeof step !== 'string' || !needs.includes(step))
      return [{ pointer: `${pointer}/$from`, detail: 'must be one of the needs of this step' }];
    if (path !== undefined && (typeof path !== 'string' || !POINTER.test(path)))
      return [{ pointer: `${pointer}/path`, detail: 'must be a JSON Pointer' }];
    return hasOthers ? [{ pointer, detail: 'has members beside $from and path' }] : [];
  });
}

/** Takes away steps whose needs are all taken away; what is left goes in circles. */
function faultsOfCycle(tasks: ReadonlyMap<string, StepCall>): FieldFault[] {
  const left = new Map([...tasks].map(([name, { needs = [] }]) => [name, needs.length]));
  const followers = new Map<string, string[]>();
  for (const [name, { needs = [] }] of tasks) {
    for (const need of needs) followers.set(need, [...(followers.get(need) ?? []), name]);
  }
  const free = [...left].filter(([, count]) => count === 0).map(([name]) => name);
  for (let name = free.pop(); name !== undefined; name = free.pop()) {
    left.delete(name);
    for (const follower of followers.get(name) ?? []) {
      const count = (left.get(follower) ?? 0) - 1;
      left.set(follower, count);
      if (count === 0) free.push(follower);
    }
  }
  const [first] = left.keys();
  if (first === undefined) return [];
  const circle = circleFrom(tasks, left, first);
  const pointer = pointerBelow(atStep(circle[0] ?? first), ['needs']);
  return [{ pointer, detail: `needs itself: ${circle.slice(0, FAULTS_NAMED).join(' needs ')}` }];
}

function circleFrom(
  tasks: ReadonlyMap<string, StepCall>,
  left: ReadonlyMap<string, number>,
  first: string,
): readonly string[] {
  const way: string[] = [];
  let name: string | undefined = first;
  while (name !== undefined && !way.includes(name)) {
    way.push(name);
    name = tasks.get(name)?.needs?.find((need) => left.has(need));
  }
  return name === undefined ? way : [...way.slice(way.indexOf(name)), name];
}
