// An outcome of a claimed task, as a worker that knows nothing of handlers reports it.

import type { ClaimedTask, Outcome, OutcomeWord } from '../../src/store/consumer.ts';

const NOTHING = Buffer.from([0xf6]);

export function toOutcome({ id, token, content }: ClaimedTask, word: OutcomeWord, delayMs: number): Outcome {
  return { id, token, contentBytes: content.length, word, payload: NOTHING, delayMs };
}
