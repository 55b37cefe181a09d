// Leaves an entry in the audit for each change that needs the scope `admin`.

import type { Context } from 'hono';
import type { Log } from '../log.ts';
import type { Audit, AuditEntry } from '../store/audit.ts';
import type { AppEnv } from './app-env.ts';
import type { Route } from './operation.ts';

export interface AuditedDeps {
  readonly audit: Pick<Audit, 'append'>;
  readonly log: Log;
}

/** Says what a change was about: its queue, unless the path names it, and facts that are worth keeping. */
export function noteForAudit(c: Context<AppEnv>, facts: Readonly<Record<string, unknown>>): void {
  c.set('auditFacts', { ...c.get('auditFacts'), ...facts });
}

/**
 * Says what a change of something with steps was about: whoever may not see the queue of a step does not see the entry.
 * @param queue that has the record
 */
export function noteQueues(c: Context<AppEnv>, queue: string, ofSteps: readonly string[] = []): void {
  const queues = [...new Set(ofSteps)].filter((one) => one !== queue);
  noteForAudit(c, queues.length === 0 ? { queue } : { queue, queues });
}

/** Says that nothing was changed, although the answer is no error: there is no entry. */
export function noteNoChange(c: Context<AppEnv>): void {
  c.set('hasChangedNothing', true);
}

/**
 * The same route; when it changes something and needs `admin`, it answers after the change is in the audit. An entry that cannot be
 * written (Redis is full) goes to the log, and the answer is the same: the change was made.
 */
export function audited(one: Route, { audit, log }: AuditedDeps): Route {
  const { method, operation, handle } = one;
  if (operation?.scope !== 'admin' || method === 'GET') return one;
  return {
    ...one,
    async handle(c) {
      const response = await handle(c);
      if (!response.ok || c.get('hasChangedNothing')) return response;
      const location = response.headers.get('Location');
      // Where that is which it has made.
      if (location !== null) noteForAudit(c, { location });
      const entry = entryOf(c, operation.id);
      await audit
        .append(entry)
        .catch((error: unknown) => log.error({ err: error, entry }, 'a change is not in the audit'));
      return response;
    },
  };
}

function entryOf(c: Context<AppEnv>, operation: string): AuditEntry {
  const target = c.req.param() as Readonly<Record<string, string>>;
  const { queue = target['queue'], ...facts } = c.get('auditFacts') ?? {};
  return {
    by: c.get('caller').key,
    operation,
    requestId: c.get('requestId'),
    target,
    queue: typeof queue === 'string' ? queue : undefined,
    facts,
  };
}
