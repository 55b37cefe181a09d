// The public face of the package: what a module with task definitions imports.

export type { TaskDefaults } from './protocol/options.ts';
export { defineTask, type TaskContext, type TaskDefinition } from './tasks/define.ts';
export { PermanentError } from './tasks/permanent-error.ts';
export { RetryLater } from './tasks/retry-later.ts';
