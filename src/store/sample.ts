// Samples of the counts of a queue, as the sweep keeps them (sweep/series.lua).

import { SPAN_FIELDS } from './spans.ts';
import { COUNT_FIELDS, type QueueTotals, totalsOf } from './totals.ts';

/** Counts at one moment. */
export interface Sample {
  /** Milliseconds of the queue's own clock. */
  readonly at: number;
  readonly scheduled: number;
  readonly ready: number;
  readonly running: number;
  readonly totals: QueueTotals;
  /** In the order of SPAN_FIELDS: how often tasks have waited and run for so long. */
  readonly spans: readonly number[];
}

/** What another program has put there is left out. */
const SAMPLE = /^\d+( -?\d+)*$/;

/** @param words the time in milliseconds, then values in the order of COUNT_FIELDS; a release before may have had fewer */
export function readSample(words: readonly string[]): Sample {
  const at = Number(words[0]);
  const counts = Object.fromEntries(COUNT_FIELDS.map((field, index) => [field, words[index + 1] ?? '0']));
  const read = (field: string): number => Number(counts[field]);
  return {
    at,
    scheduled: read('scheduled'),
    ready: read('ready'),
    running: read('running'),
    totals: totalsOf(counts, at),
    spans: SPAN_FIELDS.map(read),
  };
}

/** Samples in the order of their texts. */
export function readSamples(texts: readonly string[]): readonly Sample[] {
  return texts.filter((text) => SAMPLE.test(text)).map((text) => readSample(text.split(' ')));
}
