// How long tasks wait and run, as counts a step of time: what percentiles over time are made of. Workers count by themselves and add
// what is new with each beat.

/** Seconds, from tiny tasks to an hour: upper ends of the steps. One more step is for what takes longer. */
export const SPAN_SECONDS = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3_600,
] as const;

const SPANS = ['wait', 'run'] as const;
export type Span = (typeof SPANS)[number];
type Step = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 12 | 13 | 14 | 15 | 16;
export type SpanField = `${Span}-${Step}`;
const STEPS = Array.from({ length: SPAN_SECONDS.length + 1 }, (_, at) => at as Step);

/** Fields of `pf:{q}:count`: `wait-0` to `wait-16`, then `run-0` to `run-16`. */
export const SPAN_FIELDS: readonly SpanField[] = SPANS.flatMap((span) => fieldsOf(span));

/** Those of one kind, from the shortest. */
export function fieldsOf(span: Span): readonly SpanField[] {
  return STEPS.map((step) => `${span}-${step}` as const);
}

/**
 * The time in milliseconds within which a part of all lasted, taken to be spread evenly within a step.
 * @param counts a number a step, from the shortest; of any unit
 * @param part from 0 to 1
 * @returns `undefined` when there was none; what lasted longer than the last end is told as that
 */
export function percentileMs(counts: readonly number[], part: number): number | undefined {
  const all = counts.reduce((sum, count) => sum + count, 0);
  if (all <= 0) return undefined;
  let left = part * all;
  for (const [at, count] of counts.entries()) {
    const [from, until] = [SPAN_SECONDS[at - 1] ?? 0, SPAN_SECONDS[at]];
    if (until === undefined) break;
    if (count > 0 && left <= count) return (from + (until - from) * (left / count)) * 1_000;
    left -= count;
  }
  return (SPAN_SECONDS.at(-1) ?? 0) * 1_000;
}
