// Task ids: UUIDv7 (RFC 9562), time ordered, in their 36-character text form.

import { v7 } from 'uuid';

/** A new id; ids made later by one process sort after earlier ones. */
export function newTaskId(): string {
  return v7();
}
