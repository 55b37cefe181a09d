// Which threads have loaded their handlers. One that has not must get no task, because a deadline or a cancel could end
// it, nor be ended otherwise: Node aborts the whole process when a thread ends while it loads modules.

export interface LoadedThreads {
  has(threadId: number): boolean;
  add(threadId: number): void;
  /** Resolves once all of them have. */
  whenAll(): Promise<void>;
}

/** @param threadIds of the threads there are now */
export function createLoadedThreads(threadIds: () => readonly number[]): LoadedThreads {
  const loaded = new Set<number>();
  const watchers = new Set<() => void>();

  return {
    has: (threadId) => loaded.has(threadId),

    add(threadId) {
      const present = threadIds();
      for (const id of loaded) if (!present.includes(id)) loaded.delete(id);
      loaded.add(threadId);
      for (const watcher of watchers) watcher();
    },

    whenAll: () =>
      new Promise((resolve) => {
        const check = (): void => {
          if (!threadIds().every((id) => loaded.has(id))) return;
          watchers.delete(check);
          resolve();
        };
        watchers.add(check);
        check();
      }),
  };
}
