// The package export `popfleet/testing`: for the tests of programs that have tasks.

export { runTask, type RunTaskOptions, type SpawnedChild, type TaskRun } from './run-task.ts';
export { openTestFleet, type TestFleet } from './test-fleet.ts';
