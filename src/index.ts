// The public face of the package: what a module with task definitions imports, and what a program that sends them does.

export {
  openPopfleet,
  type Popfleet,
  type PopfleetSettings,
  type Sent,
  type TaskOptions,
} from './library.ts';
export { PopfleetError } from './protocol/errors.ts';
export type { TaskDefaults } from './protocol/options.ts';
export { defineTask, type TaskContext, type TaskDefinition } from './tasks/define.ts';
export type { InputSchema } from './tasks/input-schema.ts';
export { PermanentError } from './tasks/permanent-error.ts';
export { RetryLater } from './tasks/retry-later.ts';
/** The schema library that checks inputs, so that a module with tasks needs no package of its own for it. */
export * as v from 'valibot';
