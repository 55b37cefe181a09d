// The second phase: waits until the accepted tasks have ended, without polling in a tight loop.

import { delay } from '../lifecycle.ts';
import { type QueueSight, readQueueSight, readTaskSight } from './api.ts';
import type { LoadRun } from './run.ts';

/** Longest time that a request for a task waits in the server, and shortest time between two requests. */
const LOOK_SECONDS = 1;

export function queuePath(run: LoadRun): string {
  return `/v1/queues/${encodeURIComponent(run.options.queue)}`;
}

export function taskPath(id: string): string {
  return `/v1/tasks/${encodeURIComponent(id)}`;
}

/**
 * Waits until the last accepted task has ended, or until `deadline` (on the clock of the run). Other clients may use the
 * queue, so its counts, less those `before` sending, only feed the bar; the check afterwards goes by id.
 */
export async function drainQueue(
  run: LoadRun,
  acceptedIds: readonly string[],
  before: QueueSight | null,
  deadline: number,
): Promise<void> {
  const { progress } = run;
  const total = acceptedIds.length;
  const ownEnded = (sight: QueueSight | null): number =>
    sight && before ? Math.max(0, Math.min(total, sight.ended - before.ended)) : 0;
  const onLook = async (): Promise<void> => {
    const sight = await lookAtQueue(run);
    if (sight === null) return;
    progress.show(ownEnded(sight));
    if (sight.hindrance !== null) progress.note(sight.hindrance);
  };
  progress.begin('draining', total, ownEnded(await lookAtQueue(run)));
  await awaitTask(run, acceptedIds.at(-1) ?? '', deadline, onLook);
  progress.end();
}

/**
 * Waits until the task has ended, turns out to be unknown, or `deadline` (on the clock of the run) is over. The queue is
 * first in, first out: when the last task accepted has ended, hardly any other is still open. Meanwhile `onLook` runs at
 * most once a second.
 */
export async function awaitTask(
  run: LoadRun,
  id: string,
  deadline: number,
  onLook: () => Promise<void>,
): Promise<void> {
  const { client, progress, signal, now } = run;
  while (!signal.aborted && now() < deadline) {
    const startedAt = now();
    const sight = readTaskSight(await client.get(`${taskPath(id)}?wait=${LOOK_SECONDS}`));
    await onLook();
    if (sight.kind === 'ended' || sight.kind === 'missing') return;
    if (sight.kind === 'unseen') progress.note(sight.reason);
    const restMs = startedAt + LOOK_SECONDS * 1_000 - now();
    const pauseMs = sight.kind === 'unseen' ? Math.max(restMs, sight.retryAfterMs) : restMs;
    await delay(Math.max(0, Math.min(pauseMs, deadline - now())), signal);
  }
}

/** Reads the queue of the run once; null when the server gives no usable answer. */
async function lookAtQueue(run: LoadRun): Promise<QueueSight | null> {
  return readQueueSight(await run.client.get(queuePath(run)));
}
