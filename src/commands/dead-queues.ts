// Which queues a cause of dead tasks is about, where none is named.

import { ApiError } from '../client/api-error.ts';
import type { ErrorGroupView } from '../client/shapes.ts';
import { UsageError } from './usage-error.ts';
import type { Session } from './verb.ts';

/** The queues in which tasks are dead of it now; unless there is one, any that has known it. */
export function deadQueuesOf(groups: readonly ErrorGroupView[]): readonly string[] {
  const dead = groups.filter((group) => group.dead > 0);
  return (dead.length > 0 ? dead : groups.slice(0, 1)).map(({ queue }) => queue);
}

/** The one that is named, or else all in which tasks are dead of it. @throws ApiError `not-found`, also when none has ever died of it there */
export async function queuesOf(
  { client, signal }: Session,
  fingerprint: string,
  named: string | undefined,
): Promise<readonly string[]> {
  if (named === undefined) return deadQueuesOf(await client.deadLetters.get(fingerprint, { signal }));
  // A queue with very many causes does not count all of them.
  for await (const _ of client.list({ queue: named, state: 'dead', fingerprint, signal })) return [named];
  const groups = await client.deadLetters.get(fingerprint, { signal });
  if (groups.some(({ queue }) => queue === named)) return [named];
  const all = new Intl.ListFormat('en').format(groups.map(({ queue }) => queue));
  throw new ApiError(`No task of ${named} has died of it, but of ${all}.`, {
    status: 404,
    code: 'not-found',
  });
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
