// A task with all that is known of it.

import type { Inspector } from '../store/inspector.ts';
import type { TaskRecord } from '../store/record.ts';
import type { Registry } from '../tasks/registry.ts';
import { type TaskView, toTaskView } from './task-view.ts';

/**
 * @param basePath of the links
 * @throws PopfleetError `redis-unavailable`
 */
export async function fullView(
  record: TaskRecord,
  inspector: Pick<Inspector, 'attempts'>,
  registry: Registry,
  basePath: string,
): Promise<TaskView> {
  // Most tasks fail never, and cost no second command. Not `failures`: a replay sets them back.
  const faultless = record.state === 'running' || record.state === 'succeeded' ? 1 : 0;
  const attempts = record.claims > faultless ? await inspector.attempts(record.queue, record.id) : [];
  return toTaskView(record, attempts, registry, basePath);
}
