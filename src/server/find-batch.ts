// Finds the batch of a path, if it is visible to the caller.

import type { Context } from 'hono';
import { PopfleetError } from '../protocol/errors.ts';
import { readTaskId } from '../protocol/task-id.ts';
import type { BatchRecord } from '../store/batches.ts';
import type { AppEnv } from './app-env.ts';
import { knows, visibleQueues } from './caller.ts';
import type { Deps } from './deps.ts';

/**
 * @param given an id, in any case
 * @throws PopfleetError `not-found`
 */
export async function findBatch(
  { inspector, batches }: Pick<Deps, 'inspector' | 'batches'>,
  c: Context<AppEnv>,
  given = c.req.param('batch') ?? '',
): Promise<BatchRecord> {
  const id = readTaskId(given);
  const caller = c.get('caller');
  const found = id && (await batches.find(id, await visibleQueues(inspector, caller)));
  if (found && knows(caller, found.plan.home)) return found;
  throw noBatch();
}

export function noBatch(): PopfleetError {
  return new PopfleetError(
    'not-found',
    'There is no such batch. Records of those that have ended are kept for a limited time only.',
  );
}
