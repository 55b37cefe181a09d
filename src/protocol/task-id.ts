// Task ids: UUIDv7 (RFC 9562), time ordered, in their 36-character text form.

import { v7 } from 'uuid';

/** A new id; ids made later by one process sort after earlier ones. */
export function newTaskId(): string {
  return v7();
}

/** When an id was made, in milliseconds since 1970: the first 48 bits of a UUIDv7 (RFC 9562, section 5.7). */
export function timeOfTaskId(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}
