// The contract of everything that starts and stops, and the timers and waits that respect it.

/** Tolerates being stopped without having been started, and being stopped twice. */
export interface Service {
  start(): Promise<void>;
  /** @param hurry fires when running tasks and requests shall not be waited for any longer */
  stop(hurry?: AbortSignal): Promise<void>;
}

/** Resolves after `ms`, or at once when the signal fires. Never rejects. Only for backing off, never for polling. */
export function delay(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) {
      resolve();
      return;
    }
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done, { once: true });
  });
}

/**
 * Fires after `ms`, or with the other signal. On Node 20 `AbortSignal.any` over an `AbortSignal.timeout` never fires once the
 * garbage collector has run: it holds its sources weakly. Here the timer holds the controller.
 */
export function timeLimit(ms: number, other?: AbortSignal): AbortSignal {
  const limit = new AbortController();
  const end = (): void => {
    clearTimeout(timer);
    other?.removeEventListener('abort', end);
    limit.abort();
  };
  const timer = setTimeout(end, ms).unref();
  if (other?.aborted) end();
  else other?.addEventListener('abort', end);
  return limit.signal;
}

/** Milliseconds before the next try: doubled each time up to a cap, the upper half at random so that a fleet spreads out. */
export function retryDelayMs(
  attempt: number,
  firstMs: number,
  capMs: number,
  random: () => number = Math.random,
): number {
  const ceiling = Math.min(capMs, firstMs * 2 ** Math.max(0, attempt - 1));
  return Math.round(ceiling / 2 + (ceiling / 2) * random());
}

/** Resolves with the promise, or with `undefined` when `ms` pass first. The promise itself goes on. */
export function within<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(undefined), ms);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** Waits for conditions on a state whose owner reports each change. */
export function createChanges() {
  const watchers = new Set<() => void>();
  return {
    changed(): void {
      for (const watcher of watchers) watcher();
    },

    /** Resolves when the condition holds, or when the signal fires. */
    until(condition: () => boolean, signal?: AbortSignal): Promise<void> {
      return new Promise((resolve) => {
        const check = (): void => {
          if (!condition() && !signal?.aborted) return;
          watchers.delete(check);
          signal?.removeEventListener('abort', check);
          resolve();
        };
        watchers.add(check);
        signal?.addEventListener('abort', check, { once: true });
        check();
      });
    },
  };
}

/**
 * Runs one asynchronous step at a time, in the order asked for; at once when none is under way. A step that fails does not
 * hold the next.
 */
export function createSerial(): <T>(step: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  let underWay = 0;
  const leave = (): void => {
    underWay -= 1;
  };
  return (step) => {
    underWay += 1;
    const mine = underWay === 1 ? step() : last.then(step, step);
    last = mine;
    mine.then(leave, leave);
    return mine;
  };
}

/** A value, or a promise of it. Only for steps that run once a task: a promise costs more than a tiny task. */
export type Soon<T> = T | Promise<T>;

/** Applies a step to the value, at once when it is no promise. */
export function whenThere<T, R>(soon: Soon<T>, step: (value: T) => R): Soon<R> {
  return soon instanceof Promise ? soon.then(step) : step(soon);
}

/** A service that begins when it is needed for the first time. */
export interface LateService extends Pick<Service, 'stop'> {
  /** Starts it, unless it was started or stopped before. */
  need(): void;
}

/** @param failed called when it cannot start: it is tried again when it is needed the next time */
export function createLateService(
  open: () => Promise<Service>,
  failed: (error: unknown) => void,
): LateService {
  let starting: Promise<Service | undefined> | undefined;
  let isStopped = false;
  return {
    need() {
      if (isStopped) return;
      starting ??= open()
        .then(async (service) => {
          await service.start();
          return service;
        })
        .catch((error: unknown) => {
          starting = undefined;
          failed(error);
          return undefined;
        });
    },
    async stop(hurry) {
      isStopped = true;
      await (await starting)?.stop(hurry);
    },
  };
}
