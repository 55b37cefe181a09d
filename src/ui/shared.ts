// What all screens share: who is signed in, the numbers of the fleet, and what was announced.

import { useEffect, useReducer } from 'preact/hooks';
import type { LostWorker, Queue, Session, Task, Worker } from './api-types.d.ts';
import type { Problem } from './problem.ts';

export interface Fleet {
  readonly queues: readonly Queue[];
  readonly workers: readonly Worker[];
  /** Those that were lost in the last five minutes. */
  readonly lost: readonly LostWorker[];
  /** When it was read, by the clock of this machine. */
  readonly at: number;
  /** Tasks a second since the read before; `undefined` at first. */
  readonly rates: { readonly accepted: number; readonly finished: number } | undefined;
}

interface Notice {
  readonly tone: 'good' | 'bad';
  readonly text: string;
  readonly problem?: Problem;
}

/** A time in which nothing could be read, by the clock of this machine. */
export interface Outage {
  readonly since: number;
  readonly until: number;
}

export interface Shared {
  /** What the key of this browser allows; `undefined` until it is known. It stays when the session ends. */
  readonly session: Session | undefined;
  /** There is no session, or none any more: a key is asked for. */
  readonly isSignedOut: boolean;
  /** The last good reading, also while newer ones fail. */
  readonly fleet: Fleet | undefined;
  /** Why the numbers cannot be read now, and since when. */
  readonly outage:
    | { readonly problem: Problem; readonly since: number; readonly retryAt: number }
    | undefined;
  /** Those that are over, as far as this page has seen them; the latest hundred. */
  readonly outages: readonly Outage[];
  readonly isPaused: boolean;
  /** Grows when it is time to read again. */
  readonly beat: number;
  readonly notice: Notice | undefined;
  /** The task that somebody has asked to run again last. */
  readonly again: Task | undefined;
}

let shared: Shared = {
  session: undefined,
  isSignedOut: false,
  fleet: undefined,
  outage: undefined,
  outages: [],
  isPaused: false,
  beat: 0,
  notice: undefined,
  again: undefined,
};
const listeners = new Set<() => void>();

export function readShared(): Shared {
  return shared;
}

export function share(part: Partial<Shared>): void {
  shared = { ...shared, ...part };
  for (const listener of listeners) listener();
}

/** What is shared now; draws the component again when it changes. */
export function useShared(): Shared {
  const [, redraw] = useReducer<number, undefined>((count) => count + 1, 0);
  useEffect(() => {
    const seen = shared;
    const listener = (): void => redraw(undefined);
    listeners.add(listener);
    if (seen !== shared) redraw(undefined);
    return () => void listeners.delete(listener);
  }, []);
  return shared;
}

/** Whether the key of this browser allows it. The server decides; the page only hides what would be refused. */
export function may(scope: 'enqueue' | 'read' | 'admin'): boolean {
  const { scopes = [] } = shared.session ?? {};
  return scopes.includes(scope) || scopes.includes('admin');
}

export function announce(text: string): void {
  share({ notice: { tone: 'good', text } });
}

export function announceProblem(text: string, problem: Problem): void {
  share({ notice: { tone: 'bad', text, problem } });
}
