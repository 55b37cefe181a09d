// Changes that need the scope `admin`: one stream of bounded length for the whole fleet.

import type { Redis } from 'ioredis';
import { withStoreErrors } from './store-error.ts';

/** It has no hash tag: only commands of their own touch it, never a script. */
const AUDIT_KEY = 'pf:audit';
/** Entries that are kept, about. */
const KEPT = 10_000;
/** Entries that are looked at for one page. */
const LOOKED_AT = 1_000;

/** One change. */
export interface AuditEntry {
  /** Id of the API key; `undefined` where no keys are required. */
  readonly by: string | undefined;
  /** Id of the operation, as in the OpenAPI document. */
  readonly operation: string;
  readonly requestId: string;
  /** Values of the parameters of its path, such as the id of a task. */
  readonly target: Readonly<Record<string, string>>;
  /** The queue that it was about; `undefined` when it was about none. */
  readonly queue: string | undefined;
  /** What else is known of it, as plain data: a filter, counts. */
  readonly facts: Readonly<Record<string, unknown>>;
}

export interface StoredAuditEntry extends AuditEntry {
  /** `<milliseconds of Redis' time of day>-<number>`. */
  readonly id: string;
  readonly at: number;
}

interface AuditPage {
  /** Newest first. */
  readonly entries: readonly StoredAuditEntry[];
  /** Id behind which the next page begins; `undefined` after the last one. A page may be short and have a next one. */
  readonly next: string | undefined;
}

/** @throws PopfleetError `redis-unavailable` from every method when Redis does not answer */
export interface Audit {
  /** @throws PopfleetError `redis-full` too */
  append(entry: AuditEntry): Promise<void>;
  /** @param before id of an entry; `undefined` = from the newest one */
  read(before: string | undefined, limit: number, accept: (entry: AuditEntry) => boolean): Promise<AuditPage>;
}

/** @param client a connection of `openCommandConnection` */
export function createAudit(client: Redis): Audit {
  return withStoreErrors<Audit>({
    async append(entry) {
      await client.xadd(AUDIT_KEY, 'MAXLEN', '~', KEPT, '*', 'entry', JSON.stringify(entry));
    },

    async read(before, limit, accept) {
      // Redis refuses to look for what is older than its oldest id.
      if (before !== undefined && /^0+-0+$/.test(before)) return { entries: [], next: undefined };
      const end = before === undefined ? '+' : `(${before}`;
      const rows = await client.xrevrange(AUDIT_KEY, end, '-', 'COUNT', LOOKED_AT);
      const entries: StoredAuditEntry[] = [];
      for (const [id, [, text = '']] of rows) {
        const entry = readEntry(text);
        if (entry && accept(entry)) entries.push({ ...entry, id, at: Number(id.split('-')[0]) });
        if (entries.length === limit) return { entries, next: id };
      }
      return { entries, next: rows.length === LOOKED_AT ? rows.at(-1)?.[0] : undefined };
    },
  });
}

/** `undefined` for what another program has put there. */
function readEntry(text: string): AuditEntry | undefined {
  try {
    const { by, operation, requestId, target, queue, facts } = JSON.parse(text) as AuditEntry;
    return typeof operation === 'string' ? { by, operation, requestId, target, queue, facts } : undefined;
  } catch {
    return undefined;
  }
}
