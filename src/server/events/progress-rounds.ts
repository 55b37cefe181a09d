// Reads the progress of running tasks for all listeners, at most four times a second however often handlers report it.

import type { EventLog } from '../../store/event-log.ts';

interface ProgressListener {
  /** @param json `{queue, task, progress}`, made once for all listeners */
  progress(json: string): void;
}

export interface ProgressRounds {
  /** The next round passes the latest progress of these tasks to the listener. */
  want(listener: ProgressListener, queue: string, ids: readonly string[]): void;
  stop(): void;
}

const ROUND_MS = 250;

export function createProgressRounds(eventLog: EventLog): ProgressRounds {
  /** Queue → task id → its listeners. */
  let wanted = new Map<string, Map<string, Set<ProgressListener>>>();
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  async function passOn(queue: string, tasks: ReadonlyMap<string, Set<ProgressListener>>): Promise<void> {
    const latest = await eventLog.progress(queue, [...tasks.keys()]);
    for (const [task, progress] of latest) {
      const json = JSON.stringify({ queue, task, progress });
      for (const listener of tasks.get(task) ?? []) listener.progress(json);
    }
  }

  function round(): void {
    timer = undefined;
    const now = wanted;
    wanted = new Map();
    for (const [queue, tasks] of now) {
      passOn(queue, tasks).catch(() => undefined); // The next report starts the next round; the record has the latest.
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
