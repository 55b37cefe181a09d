// Reads what running tasks tell, for everyone who wants to know, a few times a second however often they tell it.

import type { EventLog } from '../../store/event-log.ts';

interface ProgressListener {
  /** @param json `{queue, task, progress}`, made once for all listeners */
  progress(json: string): void;
}

export interface ProgressRounds {
  /** The listener is told, with the next round, what these tasks told last. */
  want(listener: ProgressListener, queue: string, ids: readonly string[]): void;
  stop(): void;
}

const ROUND_MS = 250;

export function createProgressRounds(eventLog: EventLog): ProgressRounds {
  /** Queue → task id → who wants it. */
  let wanted = new Map<string, Map<string, Set<ProgressListener>>>();
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  async function tell(queue: string, tasks: ReadonlyMap<string, Set<ProgressListener>>): Promise<void> {
    const told = await eventLog.progress(queue, [...tasks.keys()]);
    for (const [task, progress] of told) {
      const json = JSON.stringify({ queue, task, progress });
      for (const listener of tasks.get(task) ?? []) listener.progress(json);
    }
  }

  function round(): void {
    timer = undefined;
    const now = wanted;
    wanted = new Map();
    for (const [queue, tasks] of now) {
      tell(queue, tasks).catch(() => undefined); // The next report brings the next one; the task's record has the last.
    }
  }

  return {
    want(listener, queue, ids) {
      if (stopped) return;
      const tasks = wanted.get(queue) ?? new Map<string, Set<ProgressListener>>();
      wanted.set(queue, tasks);
      for (const id of ids) tasks.set(id, (tasks.get(id) ?? new Set()).add(listener));
      timer ??= setTimeout(round, ROUND_MS).unref();
    },

    stop() {
      stopped = true;
      clearTimeout(timer);
      wanted.clear();
    },
  };
}
