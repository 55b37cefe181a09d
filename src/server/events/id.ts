// The `id` of an event: the position of its stream in each queue it follows, as `mail@1732-0@57;default@1731-2@9` (queue,
// id of the entry in Redis, number of the entry).

import { QUEUE_NAME } from '../../protocol/names.ts';
import type { EventPosition } from '../../store/event-entry.ts';

/** The `id` of the last event of a task's stream. */
export const END_ID = 'end';
/** Keeps an id, which comes back as a header, far below the 16 KiB that Node reads of all headers. */
export const MOST_QUEUES = 100;

const POSITION = /^(\d{1,15}-\d{1,15})@(\d{1,15})$/;

export function formatEventId(positions: Iterable<readonly [string, EventPosition]>): string {
  return Array.from(positions, ([queue, { id, number }]) => `${queue}@${id}@${number}`).join(';');
}

/** @returns `undefined` when it is not an id that this server made */
export function parseEventId(text: string): ReadonlyMap<string, EventPosition> | undefined {
  const parts = text.split(';');
  const positions = new Map<string, EventPosition>();
  for (const part of parts) {
    const at = part.indexOf('@');
    const queue = part.slice(0, Math.max(0, at));
    const [, id, number] = POSITION.exec(part.slice(at + 1)) ?? [];
    if (!QUEUE_NAME.test(queue) || id === undefined || positions.has(queue)) return undefined;
    positions.set(queue, { id, number: Number(number) });
  }
  return parts.length > MOST_QUEUES ? undefined : positions;
}
