// The task of a path, as far as the caller may know of it.

import type { Context } from 'hono';
import { PopfleetError } from '../protocol/errors.ts';
import { TASK_ID } from '../protocol/names.ts';
import type { Inspector } from '../store/inspector.ts';
import type { TaskRecord } from '../store/record.ts';
import type { AppEnv } from './app-env.ts';
import { knows } from './caller.ts';

/** @returns `undefined` when there is none; to a caller, what belongs to queues of others does not exist */
export async function findTask(
  c: Context<AppEnv>,
  inspector: Inspector,
  id: string,
): Promise<TaskRecord | undefined> {
  const record = TASK_ID.test(id) ? await inspector.task(id, c.get('caller').queues) : undefined;
  return record && knows(c, record.queue) ? record : undefined;
}

export function noTask(): PopfleetError {
  return new PopfleetError(
    'not-found',
    'There is no such task. Finished tasks are kept for a limited time only.',
  );
}
