// An outcome of a claimed task, as a worker that knows nothing of handlers reports it.

import type { ClaimedTask, Outcome, OutcomeWord } from '../../src/store/consumer.ts';
import { writeErrorGroup } from '../../src/store/error-groups.ts';

const NOTHING = Buffer.from([0xf6]);
/** The group of whatever is dead. */
export const GROUP = writeErrorGroup('add', { name: 'Error', message: 'm', fingerprint: 'f'.repeat(16) });

export function toOutcome(
  { id, token, content }: ClaimedTask,
  word: OutcomeWord,
  delayMs: number,
  payload: Buffer = NOTHING,
): Outcome {
  const group = word === 'dead' ? { group: GROUP } : {};
  return { id, token, contentBytes: content.length, word, payload, delayMs, ...group };
}
