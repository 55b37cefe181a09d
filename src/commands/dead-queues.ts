// Which queues a cause of dead tasks is about, where none is named.

import type { ErrorGroupView } from '../client/shapes.ts';
import { UsageError } from './usage-error.ts';
import type { Session } from './verb.ts';

/** The queues in which tasks are dead of it now; unless there is one, any that has known it. */
export function deadQueuesOf(groups: readonly ErrorGroupView[]): readonly string[] {
  const dead = groups.filter((group) => group.dead > 0);
  return (dead.length > 0 ? dead : groups.slice(0, 1)).map(({ queue }) => queue);
}

/** The one that is named, or else all in which tasks are dead of it. @throws ApiError `not-found` */
export async function queuesOf(
  { client, signal }: Session,
  fingerprint: string,
  named: string | undefined,
): Promise<readonly string[]> {
  return named === undefined ? deadQueuesOf(await client.deadLetters.get(fingerprint, { signal })) : [named];
}

/** The one that is named, or the only one. @throws ApiError `not-found`; UsageError when there are several */
export async function queueOf(
  session: Session,
  fingerprint: string,
  named: string | undefined,
): Promise<string> {
  const [queue = '', ...others] = await queuesOf(session, fingerprint, named);
  if (others.length === 0) return queue;
  const all = new Intl.ListFormat('en').format([queue, ...others]);
  throw new UsageError(`It is in ${all}: name one with --queue.`);
}
