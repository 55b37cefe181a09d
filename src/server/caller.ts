// Who asks, and what that key may do.

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
export function knows({ queues }: Caller, queue: string): boolean {
  return queues === undefined || queues.has(queue);
}
