// The states of a task and the only table of allowed moves. The Lua scripts receive this table and allow no other move.

export const TASK_STATES = [
  'waiting',
  'scheduled',
  'ready',
  'running',
  'succeeded',
  'dead',
  'cancelled',
  'moved',
] as const;
export type TaskState = (typeof TASK_STATES)[number];

/** The origin of a task before its first state, and its destination once its record is removed. */
export type TaskOrigin = 'new';
export type TaskEnd = 'removed';

/**
 * Allowed moves. `new` is a task that has no record yet; `removed` is counted but keeps no record, so that
 * `accepted = sum of all states + removed` holds at every moment.
 */
export const TRANSITIONS: Readonly<Record<TaskState | TaskOrigin, readonly (TaskState | TaskEnd)[]>> = {
  new: ['waiting', 'scheduled', 'ready'],
  // It needs something that has not happened yet (lua/lib/needs.lua); to `dead` or `cancelled` also when that has failed.
  waiting: ['ready', 'scheduled', 'cancelled', 'dead'],
  // To `dead` when the task expires before it is started.
  scheduled: ['ready', 'cancelled', 'dead', 'moved'],
  ready: ['running', 'cancelled', 'dead', 'moved'],
  // To `waiting` when its handler waits for something without a slot (lua/lib/waits.lua).
  running: ['succeeded', 'dead', 'cancelled', 'scheduled', 'ready', 'waiting'],
  succeeded: ['removed'],
  // To `waiting` when their workflow is retried.
  dead: ['ready', 'waiting', 'removed', 'moved'],
  cancelled: ['waiting', 'removed'],
  // On its way to another queue. It is not counted as removed but as no longer accepted here (moved.lua).
  moved: ['removed'],
};

const TERMINAL: ReadonlySet<TaskState> = new Set(['succeeded', 'dead', 'cancelled']);

/** True for a state that no worker leaves any more (a dead task may still be replayed by hand). */
export function isTerminal(state: TaskState): boolean {
  return TERMINAL.has(state);
}

/** Whether a word that was read from Redis is a state. */
export function isTaskState(word: string): word is TaskState {
  return (TASK_STATES as readonly string[]).includes(word);
}
