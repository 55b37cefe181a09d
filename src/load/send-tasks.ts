// The first phase: sends every task until it was accepted, or until a repeat makes no sense.

import { delay } from '../lifecycle.ts';
import { readSendAnswer, type StopCode } from './api.ts';
import { type LoadRun, runLoops } from './run.ts';

/** Why sending ended before every task was sent. */
export interface Stop {
  readonly code: StopCode;
  readonly reason: string;
}

/** Result of sending: `sent = accepted + refused + unknown`. */
export interface Sent {
  readonly sent: number;
  /** Ids of the tasks that the server answered with 202, in the order of the answers. */
  readonly acceptedIds: readonly string[];
  /** Tasks that were certainly not accepted, also after repeats. */
  readonly refused: number;
  /** Repeats after 429, 503 or a connection that could not be opened. */
  readonly retries: number;
  /** Tasks that may or may not have been accepted: their connection broke before the answer. */
  readonly unknown: number;
  /** The last reason for an unknown task. */
  readonly unknownReason: string | null;
  /** From request to answer for each accepted task, waits between repeats not included, in milliseconds. */
  readonly enqueueMs: readonly number[];
  readonly elapsedMs: number;
  readonly stop: Stop | null;
}

type Offer =
  | { readonly kind: 'accepted'; readonly id: string; readonly tookMs: number }
  | { readonly kind: 'refused'; readonly stop: Stop | null }
  | { readonly kind: 'unknown'; readonly reason: string };

/** Sends `options.tasks` tasks with at most `options.inFlight` requests open. Never throws for a fault of the server. */
export async function sendTasks(run: LoadRun): Promise<Sent> {
  const { options, progress, signal, now } = run;
  const body = Buffer.from(
    JSON.stringify({ type: options.type, input: options.input, queue: options.queue }),
  );
  const acceptedIds: string[] = [];
  const enqueueMs: number[] = [];
  const tally = { sent: 0, refused: 0, retries: 0, unknown: 0 };
  let unknownReason: string | null = null;
  let stop: Stop | null = null;

  const onRetry = (reason: string): void => {
    tally.retries += 1;
    progress.note(`retrying after ${reason}`);
  };
  const step = async (): Promise<boolean> => {
    if (tally.sent >= options.tasks || stop !== null || signal.aborted) return false;
    tally.sent += 1;
    const offer = await offerTask(run, body, onRetry);
    switch (offer.kind) {
      case 'accepted':
        acceptedIds.push(offer.id);
        enqueueMs.push(offer.tookMs);
        progress.show(acceptedIds.length);
        return true;
      case 'refused':
        tally.refused += 1;
        stop ??= offer.stop;
        return true;
      case 'unknown':
        tally.unknown += 1;
        unknownReason = offer.reason;
        return true;
    }
  };

  const startedAt = now();
  progress.begin('sending', options.tasks);
  await runLoops(Math.min(options.inFlight, options.tasks), step);
  progress.end();
  return { ...tally, acceptedIds, enqueueMs, unknownReason, stop, elapsedMs: now() - startedAt };
}

/** Sends one task again while the server is only busy, for `options.patienceMs` at most. */
async function offerTask(run: LoadRun, body: Buffer, onRetry: (reason: string) => void): Promise<Offer> {
  const { options, client, signal, now } = run;
  const deadline = now() + options.patienceMs;
  for (;;) {
    const startedAt = now();
    const answer = readSendAnswer(await client.post('/v1/tasks', body));
    switch (answer.kind) {
      case 'accepted':
        return { kind: 'accepted', id: answer.id, tookMs: now() - startedAt };
      case 'unknown':
        return answer;
      case 'rejected':
        return { kind: 'refused', stop: { code: answer.why, reason: answer.reason } };
      case 'busy': {
        const leftMs = deadline - now();
        if (leftMs <= 0) return { kind: 'refused', stop: { code: answer.why, reason: answer.reason } };
        onRetry(answer.reason);
        await delay(Math.min(answer.retryAfterMs, leftMs), signal);
        if (signal.aborted) return { kind: 'refused', stop: null };
      }
    }
  }
}
