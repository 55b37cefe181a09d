// How a task is written: its type, the schema of its input and what it does, once for server and worker alike.

import type { GenericSchema } from 'valibot';
import { PopfleetError } from '../protocol/errors.ts';
import { TASK_TYPE } from '../protocol/names.ts';

/** What a running handler knows of its task. */
export interface TaskContext {
  readonly id: string;
  readonly type: string;
  /** 1 for the first run; only failures of the handler make it grow. */
  readonly attempt: number;
}

export interface TaskDefinition<Input = unknown, Output = unknown> {
  /** Lower case letters, digits, `_`, `.` and `-`; begins with a letter; at most 64 characters. */
  readonly type: string;
  /** A valibot schema: the server refuses an input that does not fit, the worker checks it again. */
  readonly input: GenericSchema<unknown, Input>;
  /** Runs in a thread of its own and may block it. Its result must be plain (what CBOR and JSON can both carry). */
  run(input: Input, context: TaskContext): Output | Promise<Output>;
}

/** Global, so that a definition is known also when a program carries two copies of this package. */
const DEFINED = Symbol.for('popfleet.task');

/**
 * Defines a task.
 * @throws PopfleetError `bad-definition` that says which part is wrong
 */
export function defineTask<Input, Output>(
  definition: TaskDefinition<Input, Output>,
): TaskDefinition<Input, Output> {
  const fault = faultOf(definition ?? {});
  if (fault) throw new PopfleetError('bad-definition', fault);
  return Object.freeze(Object.assign({ [DEFINED]: true }, definition));
}

/** True for what `defineTask` made. */
export function isTaskDefinition(value: unknown): value is TaskDefinition {
  return typeof value === 'object' && value !== null && DEFINED in value;
}

function faultOf(definition: { type?: unknown; input?: unknown; run?: unknown }): string | undefined {
  const { type, input, run } = definition;
  if (typeof type !== 'string' || !TASK_TYPE.test(type)) {
    return `the task type ${JSON.stringify(type)} must match ${TASK_TYPE.source}`;
  }
  if (typeof input !== 'object' || input === null || !('~run' in input)) {
    return `the input of task "${type}" must be a valibot schema`;
  }
  if ('async' in input && input.async === true) {
    return `the input of task "${type}" must be a schema that needs no await`;
  }
  if (typeof run !== 'function') return `task "${type}" needs a function "run"`;
  return undefined;
}
