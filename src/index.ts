// The public face of the package: what a module with task definitions imports.

export { defineTask, type TaskContext, type TaskDefinition } from './tasks/define.ts';
export { PermanentError } from './tasks/permanent-error.ts';
