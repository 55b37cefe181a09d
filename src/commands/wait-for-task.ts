// Waits for the end of a task, and shows how far it is. Used by `task wait`, and by `task add --wait`.

import { WaitTimeout } from '../client/api-error.ts';
import { hasEnded } from '../client/long-poll.ts';
import { pause } from '../client/pause.ts';
import type { TaskView } from '../client/shapes.ts';
import { startTimer } from '../client/timer.ts';
import type { Session } from './verb.ts';

/** Mostly a task is in the other queue after some milliseconds. */
const MOVED_WITHIN_MS = 500;

/**
 * @param timeoutMs `undefined`: as long as it takes
 * @throws WaitTimeout
 */
export async function waitForTask(
  { client, terminal, signal }: Session,
  id: string,
  timeoutMs: number | undefined,
): Promise<TaskView> {
  const { createTaskProgress } = await import('./task-progress.ts');
  const progress = createTaskProgress(terminal.stderr);
  const limit = new AbortController();
  const onInterrupt = (): void => limit.abort(signal.reason);
  signal.addEventListener('abort', onInterrupt);
  const clear = startTimer(() => limit.abort(new WaitTimeout(id)), timeoutMs ?? Number.POSITIVE_INFINITY);
  try {
    for (;;) {
      for await (const event of client.events(id, { signal: limit.signal })) {
        progress.show(event);
        // Of a task that was removed there is nothing but its state.
        if (event.name === 'end' && hasEnded(event.data)) return event.data;
      }
      const task = await client.get(id, { signal: limit.signal });
      if (hasEnded(task)) return task;
      // It goes to another queue, and its events with it.
      await pause(MOVED_WITHIN_MS, limit.signal);
    }
  } finally {
    progress.end();
    clear();
    signal.removeEventListener('abort', onInterrupt);
  }
}
