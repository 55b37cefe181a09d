// How often something took how long: a few numbers, whatever happens how often.

import { type Family, type Labels, type Sample, writeNumber } from './family.ts';

/** Seconds of an answer of Redis. */
export const REDIS_SECONDS = [
  0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 3,
] as const;
/** Seconds of an answer of the server; long polls last up to 55. */
export const REQUEST_SECONDS = [
  0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 15, 60,
] as const;

export interface Observer {
  observe(seconds: number): void;
}

/** It also says how often it was how long: a number a bound, and one for what is above. */
export interface CountingObserver extends Observer {
  readonly counts: readonly number[];
}

/** @param bounds upper ends of steps, from the least @returns the position of the step of `value`; one more for what is above all */
export function stepOf(bounds: readonly number[], value: number): number {
  let at = 0;
  while (value > (bounds[at] ?? Number.POSITIVE_INFINITY)) at += 1;
  return at;
}

class Histogram implements CountingObserver {
  readonly #bounds: readonly number[];
  /** Of each bound, and of what is above all of them. */
  readonly #counts: number[];
  #sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = Array<number>(bounds.length + 1).fill(0);
  }

  observe(seconds: number): void {
    const at = stepOf(this.#bounds, seconds);
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#sum += seconds;
  }

  get counts(): readonly number[] {
    return this.#counts;
  }

  samples(labels: Labels): Sample[] {
    const samples: Sample[] = [];
    let count = 0;
    for (const [at, own] of this.#counts.entries()) {
      count += own;
      const le = writeBound(this.#bounds[at] ?? Number.POSITIVE_INFINITY);
      samples.push({ suffix: '_bucket', labels: [...labels, ['le', le]], value: count });
    }
    samples.push({ suffix: '_sum', labels, value: this.#sum }, { suffix: '_count', labels, value: count });
    return samples;
  }
}

/** OpenMetrics wants whole numbers with a fraction too. */
function writeBound(bound: number): string {
  return Number.isInteger(bound) ? bound.toFixed(1) : writeNumber(bound);
}

/** Histograms of one name, one for each combination of labels. */
export interface Histograms {
  /** That of these labels, for callers who know them before. @param values of the labels, in their order */
  of(...values: readonly string[]): CountingObserver;
  observe(seconds: number, ...values: readonly string[]): void;
  collect(): Family;
}

/** @param labels their names; each combination of values is kept for ever, so there must be few */
export function createHistograms(
  name: string,
  help: string,
  labels: readonly string[],
  bounds: readonly number[],
): Histograms {
  const all = new Map<string, { readonly histogram: Histogram; readonly labels: Labels }>();

  function of(...values: readonly string[]): Histogram {
    const key = values.join('\n');
    const known = all.get(key);
    if (known) return known.histogram;
    const histogram = new Histogram(bounds);
    all.set(key, { histogram, labels: labels.map((label, at) => [label, values[at] ?? ''] as const) });
    return histogram;
  }

  return {
    of,
    observe: (seconds, ...values) => of(...values).observe(seconds),

    collect: () => ({
      name,
      type: 'histogram',
      help,
      samples: [...all.values()].flatMap((one) => one.histogram.samples(one.labels)),
    }),
  };
}

/** Counters of one name, likewise. */
export interface Counters {
  add(by: number, ...values: readonly string[]): void;
  collect(): Family;
}

export function createCounters(name: string, help: string, labels: readonly string[]): Counters {
  const all = new Map<string, { readonly labels: Labels; value: number }>();
  return {
    add(by, ...values) {
      const key = values.join('\n');
      const known = all.get(key);
      if (known) known.value += by;
      else all.set(key, { labels: labels.map((label, at) => [label, values[at] ?? ''] as const), value: by });
    },

    collect: () => ({ name, type: 'counter', help, samples: [...all.values()] }),
  };
}
