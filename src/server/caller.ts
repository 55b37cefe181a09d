// Who asks, and what that key may do.

import type { Context } from 'hono';
import { PopfleetError } from '../protocol/errors.ts';
import type { AppEnv } from './app-env.ts';

/** `enqueue`: send tasks. `read`: see tasks, queues and events. `admin`: both, and change what is there. */
export const SCOPES = ['enqueue', 'read', 'admin'] as const;
export type Scope = (typeof SCOPES)[number];

export interface Caller {
  /** Id of the API key; `undefined` where no keys are asked for. */
  readonly key: string | undefined;
  readonly scopes: ReadonlySet<Scope>;
  /** Queues it knows; `undefined` = all. To it, nothing of others exists. */
  readonly queues: ReadonlySet<string> | undefined;
}

/** Where no keys are asked for. */
export const ANYONE: Caller = { key: undefined, scopes: new Set(SCOPES), queues: undefined };

export function allows({ scopes }: Caller, scope: Scope): boolean {
  return scopes.has(scope) || scopes.has('admin');
}

/** Whether a queue exists as far as this caller may know. */
export function knows(c: Context<AppEnv>, queue: string): boolean {
  const { queues } = c.get('caller');
  return queues === undefined || queues.has(queue);
}

const QUEUES_TOLD = 10;

/**
 * @param field where the caller may name another queue
 * @throws PopfleetError `forbidden` when the caller may send nothing to this queue
 */
export function demandQueue(c: Context<AppEnv>, queue: string, field: '`queue`' | '`?queue=`'): void {
  const { queues } = c.get('caller');
  if (queues === undefined || queues.has(queue)) return;
  // The queue may be that of a type, which the caller does not know: only its own are named.
  const own = [...queues].slice(0, QUEUES_TOLD).join(', ');
  throw new PopfleetError(
    'forbidden',
    `This key is not for the queue that the task would go to. Name one of its own with ${field}: ${own}.`,
  );
}
