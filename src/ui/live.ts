// Keeps the numbers of the fleet fresh: one reading after the other, none while the page is hidden or paused. All screens
// read again at the same beat, so a page costs the server the same however long it is open.

import { useEffect } from 'preact/hooks';
import { apiUrl, callApi } from './api.ts';
import type { Items, Queue, Session, Worker } from './api-types.d.ts';
import { type Problem, problemOf } from './problem.ts';
import { type Fleet, type Outage, readShared, share, useShared } from './shared.ts';

const BEAT_MS = 2_000;
/** Waits between readings that fail. */
const MOST_OUTAGES = 100;
const RETRY_MS = [1_000, 2_000, 4_000, 8_000] as const;
/** A stream that was refused is asked for again after this time. */
const REOPEN_MS = 2_000;

let timer: ReturnType<typeof setTimeout> | undefined;
let failures = 0;
let isReading = false;

/** Reads what the key of this browser allows; from then on the numbers are kept fresh. */
export async function startLive(): Promise<void> {
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) refresh();
  });
  await readSession();
}

/** Asks who is signed in, and reads the numbers. */
export async function readSession(): Promise<void> {
  try {
    const session = await callApi<Session>('GET', 'session');
    const { session: before } = readShared();
    // Another key may not see what the one before has left on the page.
    if (before && before.key !== session.key) return location.reload();
    share({ session, isSignedOut: false, outage: undefined });
    failures = 0;
    refresh();
  } catch (error) {
    fail(problemOf(error), () => void readSession());
  }
}

/** Reads now, and again at the next beat. */
export function refresh(): void {
  clearTimeout(timer);
  const { session, isSignedOut } = readShared();
  if (isReading || isSignedOut) return;
  if (session === undefined) void readSession();
  else void read();
}

export function setPaused(isPaused: boolean): void {
  share({ isPaused });
  if (!isPaused) refresh();
}

async function read(): Promise<void> {
  isReading = true;
  try {
    const [queues, workers] = await Promise.all([
      callApi<Items<Queue>>('GET', 'queues'),
      callApi<Workers>('GET', 'workers'),
    ]);
    failures = 0;
    const { fleet, beat } = readShared();
    share({
      fleet: toFleet(queues.items, workers, fleet),
      outage: undefined,
      outages: pastOutages(),
      beat: beat + 1,
    });
    plan(BEAT_MS, refresh);
  } catch (error) {
    fail(problemOf(error), refresh);
  } finally {
    isReading = false;
  }
}

function pastOutages(): readonly Outage[] {
  const { outage, outages } = readShared();
  return outage === undefined
    ? outages
    : [...outages, { since: outage.since, until: Date.now() }].slice(-MOST_OUTAGES);
}

/** A page that is hidden or paused goes on when it is shown or resumed. */
function plan(ms: number, next: () => void): void {
  clearTimeout(timer);
  timer = setTimeout(() => {
    if (!document.hidden && !readShared().isPaused) next();
  }, ms);
}

function fail(problem: Problem, retry: () => void): void {
  if (problem.status === 401) return;
  const waitMs = RETRY_MS[Math.min(failures, RETRY_MS.length - 1)] ?? 1_000;
  failures += 1;
  const since = readShared().outage?.since ?? Date.now();
  // A key that may only send tasks reads no numbers: that is no outage, and passes by itself never.
  if (problem.status === 403) share({ outage: undefined, beat: readShared().beat + 1 });
  else {
    share({ outage: { problem, since, retryAt: Date.now() + waitMs } });
    plan(waitMs, retry);
  }
}

/** A server of a release before tells of none that was lost. */
type Workers = Items<Worker> & Partial<Pick<Fleet, 'lost'>>;

function toFleet(
  queues: readonly Queue[],
  { items: workers, lost = [] }: Workers,
  before: Fleet | undefined,
): Fleet {
  const at = Date.now();
  const seconds = before === undefined ? 0 : (at - before.at) / 1_000;
  // A reading soon after another one (after an action) would show the noise of a moment.
  if (before === undefined || seconds < 1) return { queues, workers, lost, at, rates: before?.rates };
  const grown = (count: (queue: Queue) => number): number =>
    Math.max(0, sum(queues, count) - sum(before.queues, count)) / seconds;
  return {
    queues,
    workers,
    lost,
    at,
    rates: { accepted: grown(({ counts }) => counts['accepted'] ?? 0), finished: grown(finishedOf) },
  };
}

/** Tasks that have ended so far, those that were removed included. */
function finishedOf({ counts }: Queue): number {
  const unfinished = ['waiting', 'scheduled', 'ready', 'running'].map((state) => counts[state] ?? 0);
  return unfinished.reduce((left, count) => left - count, counts['accepted'] ?? 0);
}

export function sum<Q>(queues: readonly Q[], count: (queue: Q) => number): number {
  return queues.reduce((total, queue) => total + count(queue), 0);
}

/**
 * Follows a stream of events while the page is visible, not paused and signed in.
 * @param path under `/v1/`; `undefined` = none
 * @param onEvent called for every event, with its data; and with `reset` when there is no stream, so that things may have happened
 */
export function useEvents(
  path: string | undefined,
  isPaused: boolean,
  onEvent: (kind: string, data: unknown) => void,
): void {
  const { isSignedOut } = useShared();
  useEffect(() => {
    if (path === undefined || isPaused || isSignedOut) return undefined;
    let source: EventSource | undefined;
    let reopening: ReturnType<typeof setTimeout> | undefined;
    const open = (): void => {
      if (document.hidden || source !== undefined) return;
      source = new EventSource(apiUrl(path));
      source.addEventListener('error', refused);
      for (const kind of ['snapshot', 'state', 'progress', 'operation', 'reset', 'end']) {
        source.addEventListener(kind, (event) => onEvent(kind, JSON.parse(event.data)));
      }
    };
    const close = (): void => {
      clearTimeout(reopening);
      source?.close();
      source = undefined;
    };
    // A browser connects again by itself, but not after an answer that is no stream: of a proxy whose server is away, for one.
    const refused = (): void => {
      if (source?.readyState !== EventSource.CLOSED) return;
      close();
      reopening = setTimeout(open, REOPEN_MS);
      onEvent('reset', undefined);
    };
    const turn = (): void => (document.hidden ? close() : open());
    open();
    document.addEventListener('visibilitychange', turn);
    return () => {
      document.removeEventListener('visibilitychange', turn);
      close();
    };
  }, [path, isPaused, isSignedOut]);
}
