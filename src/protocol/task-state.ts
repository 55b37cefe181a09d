// The states of a task and the only table of allowed moves. The Lua scripts receive this table; nothing else may move a task.

export const TASK_STATES = ['scheduled', 'ready', 'running', 'succeeded', 'dead', 'cancelled'] as const;
export type TaskState = (typeof TASK_STATES)[number];

/** Where a task comes from before its first state, and goes to once its record is dropped. */
export type TaskOrigin = 'new';
export type TaskEnd = 'removed';

/**
 * Allowed moves. `new` is a task that has no record yet; `removed` is counted but keeps no record, so that
 * `accepted = sum of all states + removed` holds at every moment.
 */
export const TRANSITIONS: Readonly<Record<TaskState | TaskOrigin, readonly (TaskState | TaskEnd)[]>> = {
  new: ['scheduled', 'ready'],
  // To `dead` when it expired before it was started.
  scheduled: ['ready', 'cancelled', 'dead'],
  ready: ['running', 'cancelled', 'dead'],
  running: ['succeeded', 'dead', 'cancelled', 'scheduled', 'ready'],
  succeeded: ['removed'],
  dead: ['ready', 'removed'],
  cancelled: ['removed'],
};

const TERMINAL: ReadonlySet<TaskState> = new Set(['succeeded', 'dead', 'cancelled']);

/** True for a state that no worker leaves any more (a dead task may still be replayed by hand). */
export function isTerminal(state: TaskState): boolean {
  return TERMINAL.has(state);
}

/** Narrows a word read from Redis. */
export function isTaskState(word: string): word is TaskState {
  return (TASK_STATES as readonly string[]).includes(word);
}
