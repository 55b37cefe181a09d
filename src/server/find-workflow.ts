// Finds the workflow of a path, if it is visible to the caller.

import type { Context } from 'hono';
import { PopfleetError } from '../protocol/errors.ts';
import { readTaskId } from '../protocol/task-id.ts';
import type { WorkflowRecord } from '../store/workflows.ts';
import type { AppEnv } from './app-env.ts';
import { knows, visibleQueues } from './caller.ts';
import type { Deps } from './deps.ts';

/**
 * Whoever may not see a step does not see the workflow.
 * @param given an id, in any case
 * @throws PopfleetError `not-found`
 */
export async function findWorkflow(
  { inspector, workflows }: Pick<Deps, 'inspector' | 'workflows'>,
  c: Context<AppEnv>,
  given = c.req.param('workflow') ?? '',
): Promise<WorkflowRecord> {
  const id = readTaskId(given);
  const caller = c.get('caller');
  const found =
    id === undefined ? undefined : await workflows.find(id, await visibleQueues(inspector, caller));
  if (found?.plan.steps.every(({ queue }) => knows(caller, queue))) return found;
  throw noWorkflow();
}

export function noWorkflow(): PopfleetError {
  return new PopfleetError(
    'not-found',
    'There is no such workflow. Records of those that have ended are kept for a limited time only.',
  );
}
