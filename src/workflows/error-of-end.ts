// What those are told who wait for a task that has not succeeded.

import { readTaskError, type TaskError } from '../protocol/task-error.ts';
import type { OutboxEntry } from '../store/outbox.ts';

const NEED_GONE: TaskError = { name: 'NeedGone', message: 'there was no such task any more' };
const NOT_RUN: TaskError = { name: 'Cancelled', message: 'it was cancelled before it ran' };

/** @param entry of an end that is no success */
export function errorOfEnd({ state, error }: Pick<OutboxEntry, 'state' | 'error'>): TaskError {
  if (state === 'gone') return NEED_GONE;
  return error ? readTaskError(error) : NOT_RUN;
}
