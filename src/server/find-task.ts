// Finds the task of a path, if it is visible to the caller.

import type { Context } from 'hono';
import { PopfleetError } from '../protocol/errors.ts';
import { readTaskId } from '../protocol/task-id.ts';
import type { Inspector } from '../store/inspector.ts';
import type { TaskRecord } from '../store/record.ts';
import type { AppEnv } from './app-env.ts';
import { knows } from './caller.ts';

/** @param given an id, in any case @returns `undefined` when there is none, or its queue is not visible to the caller */
export async function findTask(
  c: Context<AppEnv>,
  inspector: Inspector,
  given: string,
): Promise<TaskRecord | undefined> {
  const id = readTaskId(given);
  const record = id === undefined ? undefined : await inspector.task(id, c.get('caller').queues);
  return record && knows(c.get('caller'), record.queue) ? record : undefined;
}

export function noTask(): PopfleetError {
  return new PopfleetError(
    'not-found',
    'There is no such task. Finished tasks are kept for a limited time only.',
  );
}
