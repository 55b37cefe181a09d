// The parts that all phases of a load run share, and the bounded loops that they are made of.

import type { HttpClient } from './http-client.ts';
import type { LoadOptions } from './options.ts';
import type { Progress } from './progress.ts';

export interface LoadRun {
  readonly options: LoadOptions;
  readonly client: HttpClient;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** A steady clock, in milliseconds. */
  readonly now: () => number;
}

/**
 * Runs `count` loops side by side until each one's `step` answers false. A million tasks thus cost `count`
 * promises at a time, not a million.
 */
export async function runLoops(count: number, step: () => Promise<boolean>): Promise<void> {
  const loop = async (): Promise<void> => {
    while (await step());
  };
  await Promise.all(Array.from({ length: count }, loop));
}
