// The public exports of the package: for modules with task definitions, and for programs that send tasks.

import type { Popfleet, PopfleetSettings } from './library.ts';

export type { BatchHandle, BatchTask, NewBatch } from './batch-handle.ts';
export type { ManyTask, Popfleet, PopfleetSettings, TaskOptions } from './library.ts';
export type {
  LibraryWorkflows,
  Reference,
  WithReferences,
  WorkflowCall,
  WorkflowStepCall,
} from './library-workflows.ts';
export { PopfleetError } from './protocol/errors.ts';
export type { TaskDefaults } from './protocol/options.ts';
export type { Stored, TaskHandle } from './task-handle.ts';
export {
  defineTask,
  type ChildEnd,
  type SpawnOptions,
  type TaskContext,
  type TaskDefinition,
  type Waited,
  type WaitFor,
} from './tasks/define.ts';
export type { InputSchema } from './tasks/input-schema.ts';
export { PermanentError } from './tasks/permanent-error.ts';
export { RetryLater } from './tasks/retry-later.ts';
/** The schema library that checks inputs, so that a module with tasks needs no package of its own for it. */
export * as v from 'valibot';

/**
 * Opens a connection that reconnects by itself; calls fail while Redis is away. Resolves once it is there, or after two
 * seconds without it. The client of Redis is loaded by this call: modules with task definitions import this package too, and
 * every thread would load it otherwise.
 * @throws PopfleetError `bad-config` that names the setting that is missing or wrong, `bad-definition` when two definitions
 *   have one type
 */
export async function openPopfleet(settings: PopfleetSettings): Promise<Popfleet> {
  const library = await import('./library.ts');
  return library.openPopfleet(settings);
}
