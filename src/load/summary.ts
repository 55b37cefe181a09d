// The result of a load run as one flat document.

import type { LoadOptions } from './options.ts';
import { type Percentiles, percentilesOf } from './percentiles.ts';
import type { Sent } from './send-tasks.ts';
import { judge, type Verdict } from './verdict.ts';
import type { Verified } from './verify-tasks.ts';

/** Fields that only the check of every task can fill are null when there was none (`--no-wait`, interrupted). */
export interface LoadSummary extends Verdict {
  readonly url: string;
  readonly queue: string;
  readonly type: string;
  readonly tasks: number;
  /** `sent = accepted + refused + unknown`. */
  readonly sent: number;
  readonly accepted: number;
  readonly refused: number;
  readonly retries: number;
  readonly unknown: number;
  /** `accepted = succeeded + dead + cancelled + lost`. */
  readonly succeeded: number | null;
  readonly dead: number | null;
  readonly cancelled: number | null;
  /** `lost = missing + unfinished`: accepted, but unknown to the server or never seen finished in the drain time. */
  readonly lost: number | null;
  readonly missing: number | null;
  readonly unfinished: number | null;
  /** The first ids of the lost tasks, missing ones first. */
  readonly lostIds: readonly string[];
  /** Accepted tasks a second while sending. */
  readonly sendPerSecond: number;
  /** Finished tasks a second between the first acceptance and the last end, by the server's clock. */
  readonly throughputPerSecond: number | null;
  readonly enqueueMs: Percentiles | null;
  readonly queueWaitMs: Percentiles | null;
  readonly totalMs: Percentiles | null;
}

const LOST_IDS_SHOWN = 10;

/** Makes the summary of the counts of a run; `verified` is null when the tasks were not checked. */
export function summarize(options: LoadOptions, sent: Sent, verified: Verified | null): LoadSummary {
  const accepted = sent.acceptedIds.length;
  const missing = verified?.missingIds.length ?? null;
  const unfinished = verified?.unfinishedIds.length ?? null;
  const ended = verified && verified.succeeded + verified.dead + verified.cancelled;
  return {
    ...judge(options, sent, verified),
    url: options.url.href,
    queue: options.queue,
    type: options.type,
    tasks: options.tasks,
    sent: sent.sent,
    accepted,
    refused: sent.refused,
    retries: sent.retries,
    unknown: sent.unknown,
    succeeded: verified?.succeeded ?? null,
    dead: verified?.dead ?? null,
    cancelled: verified?.cancelled ?? null,
    lost: missing === null || unfinished === null ? null : missing + unfinished,
    missing,
    unfinished,
    lostIds: verified
      ? [...verified.missingIds, ...verified.unfinishedIds.slice(0, LOST_IDS_SHOWN)].slice(0, LOST_IDS_SHOWN)
      : [],
    sendPerSecond: perSecond(accepted, sent.elapsedMs),
    throughputPerSecond: ended === null || verified === null ? null : perSecond(ended, verified.spanMs),
    enqueueMs: percentilesOf(sent.enqueueMs),
    queueWaitMs: percentilesOf(verified?.queueWaitMs ?? []),
    totalMs: percentilesOf(verified?.totalMs ?? []),
  };
}

/** The summary of a run that could not start. */
export function summarizeUnreachable(options: LoadOptions, reason: string): LoadSummary {
  const nothing = {
    sent: 0,
    acceptedIds: [],
    refused: 0,
    retries: 0,
    unknown: 0,
    unknownReason: null,
    enqueueMs: [],
    elapsedMs: 0,
  };
  return summarize(options, { ...nothing, stop: { code: 'unreachable', reason } }, null);
}

function perSecond(count: number, elapsedMs: number): number {
  return elapsedMs > 0 ? Math.round((count / elapsedMs) * 10_000) / 10 : 0;
}
