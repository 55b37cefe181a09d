// The caller of a request, and what its key allows.

import type { Inspector } from '../store/inspector.ts';

/** `enqueue`: send tasks. `read`: see tasks, queues and events. `admin`: both, and change tasks, queues and schedules. */
export const SCOPES = ['enqueue', 'read', 'admin'] as const;
export type Scope = (typeof SCOPES)[number];

export interface Caller {
  /** Id of the API key; `undefined` where no keys are required. */
  readonly key: string | undefined;
  readonly scopes: ReadonlySet<Scope>;
  /** Queues of the key; `undefined` = all. For this caller, other queues and their tasks do not exist. */
  readonly queues: ReadonlySet<string> | undefined;
}

/** The caller where no keys are required. */
export const ANYONE: Caller = { key: undefined, scopes: new Set(SCOPES), queues: undefined };

export function allows({ scopes }: Caller, scope: Scope): boolean {
  return scopes.has(scope) || scopes.has('admin');
}

/** Whether a queue is visible to this caller. */
export function knows({ queues }: Caller, queue: string): boolean {
  return queues === undefined || queues.has(queue);
}

/** @throws PopfleetError `redis-unavailable` */
export async function visibleQueues(
  inspector: Pick<Inspector, 'queues'>,
  caller: Caller,
): Promise<readonly string[]> {
  return (await inspector.queues()).filter((name) => knows(caller, name));
}
