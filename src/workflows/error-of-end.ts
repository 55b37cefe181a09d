// What those are told who wait for a task that has not succeeded.

import { readTaskError, type TaskError } from '../protocol/task-error.ts';
import type { OutboxEntry } from '../store/outbox.ts';

const NEED_GONE: TaskError = { name: 'NeedGone', message: 'there was no such task any more' };
const RUNS_AGAIN: TaskError = {
  name: 'ErrorGone',
  message: 'it was dead and was retried: its error is no longer kept',
};
const NOT_RUN: TaskError = { name: 'Cancelled', message: 'it was cancelled before it ran' };

/** An end as a task sees it that needs this one: when that was deleted, there is nothing any more that could bring a result. */
export function asNeed(entry: OutboxEntry): OutboxEntry {
  return entry.isDeleted ? { ...entry, state: 'gone' } : entry;
}

/** @param entry of an end that is no success */
export function errorOfEnd({ state, error }: Pick<OutboxEntry, 'state' | 'error'>): TaskError {
  if (state === 'gone') return NEED_GONE;
  if (error) return readTaskError(error);
  return state === 'dead' ? RUNS_AGAIN : NOT_RUN;
}
