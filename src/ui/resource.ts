// One thing that a screen shows: read at once and at every beat, one call at a time. What was read stays when a later
// reading fails.

import { useEffect, useRef, useState } from 'preact/hooks';
import { callApi } from './api.ts';
import { type Problem, problemOf } from './problem.ts';
import { useShared } from './shared.ts';

export interface Resource<T> {
  /** The last good answer; `undefined` until the first. */
  readonly data: T | undefined;
  /** Why the last reading failed; `undefined` when it did not. */
  readonly problem: Problem | undefined;
  reload(): void;
}

interface State<T> {
  readonly path: string;
  readonly data: T | undefined;
  readonly problem: Problem | undefined;
}

interface Reading {
  version: unknown;
  isReading: boolean;
  /** What is read may be older than that for which it is to be read: it is read once more. */
  isStale: boolean;
}

/**
 * @param path under `/v1/`; with another one everything begins anew
 * @param everyBeats at which beats it is read again; 0 = never
 * @param version with another one it is read again
 */
export function useResource<T>(path: string, everyBeats = 1, version?: unknown): Resource<T> {
  const { beat, isPaused, isSignedOut } = useShared();
  const [state, setState] = useState<State<T>>({ path, data: undefined, problem: undefined });
  const latest = useRef<Reading>({ version, isReading: false, isStale: false });

  const load = (): void => {
    const reading = latest.current;
    if (reading.isReading) return;
    Object.assign(reading, { isReading: true, isStale: false });
    void callApi<T>('GET', path)
      .then(
        (data) => ({ path, data, problem: undefined }),
        (error: unknown) => {
          return { path, data: undefined, problem: problemOf(error) };
        },
      )
      .then((next) => {
        reading.isReading = false;
        // An answer to what the screen does not show any more.
        if (latest.current !== reading) return;
        setState((before) =>
          next.problem && before.path === path ? { ...before, problem: next.problem } : next,
        );
        if (reading.isStale) load();
      });
  };
  const reload = (): void => {
    latest.current.isStale = latest.current.isReading;
    load();
  };

  useEffect(() => {
    latest.current = { version, isReading: false, isStale: false };
    load();
  }, [path]);
  useEffect(() => {
    if (latest.current.version === version) return;
    latest.current.version = version;
    reload();
  }, [version]);
  useEffect(() => {
    if (everyBeats > 0 && beat % everyBeats === 0 && !isPaused && !document.hidden) load();
  }, [beat]);
  useEffect(() => {
    if (!isSignedOut && state.problem?.status === 401) load();
  }, [isSignedOut]);

  const isCurrent = state.path === path;
  return {
    data: isCurrent ? state.data : undefined,
    problem: isCurrent ? state.problem : undefined,
    reload,
  };
}
