// Waits for the end of a task, and shows how far it is. Used by `task wait`, and by `task add --wait`.

import { WaitTimeout } from '../client/api-error.ts';
import { hasEnded } from '../client/popfleet.ts';
import type { TaskView } from '../client/shapes.ts';
import type { Session } from './verb.ts';

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
  const timer =
    timeoutMs === undefined ? undefined : setTimeout(() => limit.abort(new WaitTimeout(id)), timeoutMs);
  try {
    for await (const event of client.events(id, { signal: limit.signal })) {
      progress.show(event);
      // Of a task that was removed there is nothing but its state.
      if (event.name === 'end' && hasEnded(event.data)) return event.data;
    }
    return await client.get(id, { signal: limit.signal });
  } finally {
    progress.end();
    clearTimeout(timer);
    signal.removeEventListener('abort', onInterrupt);
  }
}
