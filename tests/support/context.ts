// What a handler is given, for tests that call one directly.

import type { TaskContext } from '../../src/tasks/define.ts';

/** Nobody listens, nothing stops it. */
export function contextOf(type: string): TaskContext {
  return {
    id: '00000000-0000-7000-8000-000000000000',
    type,
    attempt: 1,
    signal: new AbortController().signal,
    deadline: undefined,
    progress: () => undefined,
    log: () => undefined,
    checkpoint: async () => undefined,
    lastCheckpoint: undefined,
    token: async () => '',
    spawn: async () => '',
    waitFor: () => {
      throw new Error('nothing waits here');
    },
    waited: undefined,
    schedule: undefined,
    cause: undefined,
    needs: {},
    traceparent: undefined,
  };
}
