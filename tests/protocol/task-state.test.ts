import { expect, test } from 'vitest';
import { isTaskState, isTerminal, TASK_STATES, TRANSITIONS } from '../../src/protocol/task-state.ts';

test('the moves are those of the design, and no others', () => {
  expect(TRANSITIONS).toEqual({
    new: ['waiting', 'scheduled', 'ready'],
    waiting: ['ready', 'scheduled', 'cancelled', 'dead'],
    scheduled: ['ready', 'cancelled', 'dead', 'moved'],
    ready: ['running', 'cancelled', 'dead', 'moved'],
    running: ['succeeded', 'dead', 'cancelled', 'scheduled', 'ready', 'waiting'],
    succeeded: ['removed'],
    dead: ['ready', 'waiting', 'removed', 'moved'],
    cancelled: ['waiting', 'removed'],
    moved: ['removed'],
  });
});

test('every state can be reached from a new task, and every one can end', () => {
  const reached = reachableFrom('new');
  for (const state of TASK_STATES) {
    expect(reached, state).toContain(state);
    expect(reachableFrom(state), state).toContain('removed');
  }
});

test('terminal are exactly the states that no worker leaves', () => {
  expect(TASK_STATES.filter(isTerminal)).toEqual(['succeeded', 'dead', 'cancelled']);
  for (const state of TASK_STATES) {
    expect(TRANSITIONS[state].includes('running') || TRANSITIONS[state].includes('succeeded'), state).toBe(
      state === 'ready' || state === 'running',
    );
    // Only what is finished may be removed, and what is in another queue: retention never takes a task that waits or runs.
    expect(TRANSITIONS[state].includes('removed'), state).toBe(isTerminal(state) || state === 'moved');
  }
});

test('a word from Redis is checked', () => {
  expect(TASK_STATES.every(isTaskState)).toBe(true);
  for (const word of ['', 'new', 'removed', 'Ready', 'toString', '__proto__'])
    expect(isTaskState(word)).toBe(false);
});

function reachableFrom(start: keyof typeof TRANSITIONS): Set<string> {
  const reached = new Set<string>();
  const open: string[] = [start];
  for (let from = open.pop(); from !== undefined; from = open.pop()) {
    for (const to of TRANSITIONS[from as keyof typeof TRANSITIONS] ?? []) {
      if (!reached.has(to)) open.push(to);
      reached.add(to);
    }
  }
  return reached;
}
