// Reads a task once for all clients that look at it because of the same event.

import type { EventLog } from '../../store/event-log.ts';
import type { TaskRecord } from '../../store/record.ts';

export interface TaskLook {
  readonly record: TaskRecord | undefined;
  /** Position of the last entry that the record includes. */
  readonly position: Awaited<ReturnType<EventLog['task']>>['position'];
  /** The task as callers see it, on one line; `undefined` when there is none. */
  readonly json: string | undefined;
}

/** @throws PopfleetError `redis-unavailable` */
export type LookAtTask = (
  queue: string,
  id: string,
  view: (record: TaskRecord) => Promise<string>,
) => Promise<TaskLook>;

export function createTaskLooks(eventLog: EventLog): LookAtTask {
  const underWay = new Map<string, Promise<TaskLook>>();

  async function read(...[queue, id, view]: Parameters<LookAtTask>): Promise<TaskLook> {
    const { record, position } = await eventLog.task(queue, id);
    return { record, position, json: record && (await view(record)) };
  }

  return (queue, id, view) => {
    const name = `${queue} ${id}`;
    const shared = underWay.get(name);
    if (shared) return shared;
    const look = read(queue, id, view);
    underWay.set(name, look);
    // Shared within one turn of the event loop only: a later event needs a later read.
    queueMicrotask(() => underWay.delete(name));
    return look;
  };
}
