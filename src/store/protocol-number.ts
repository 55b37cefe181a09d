// The number of the layout that a queue is kept in, and how a release is told that it must leave a queue alone.

import { ReplyError } from './ioredis.ts';

/**
 * What this release writes (docs/protocol.md, "Protocol number"). It grows with every change of the keys of a queue, or of what
 * stands in them, that a release before would spoil; new states and further words of a header are none.
 */
export const PROTOCOL = 3;

/** How the reply of a script begins that has changed nothing, because another release keeps the queue. */
const REFUSED = 'UPGRADE ';

/**
 * Why this release may not change a queue, as a sentence that says what to do.
 * @param error of ioredis
 * @returns `undefined` when it is another error
 */
export function refusalOf(error: unknown): string | undefined {
  if (!(error instanceof Error && error instanceof ReplyError)) return undefined;
  return error.message.startsWith(REFUSED) ? error.message.slice(REFUSED.length) : undefined;
}
