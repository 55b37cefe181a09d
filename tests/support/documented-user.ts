// The user of Redis that docs/operations.md asks for.

import { readFileSync } from 'node:fs';

const OPERATIONS = new URL('../../docs/operations.md', import.meta.url);

/** The permissions of the documented line, as `ACL SETUSER` takes them. */
export function documentedRules(): string[] {
  const line = /^ACL SETUSER popfleet on >password (.+)$/m.exec(readFileSync(OPERATIONS, 'utf8'));
  if (!line?.[1]) throw new Error('docs/operations.md names no user of Redis');
  return line[1].split(' ');
}
