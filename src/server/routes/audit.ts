// Changes that need the scope `admin`.

import * as v from 'valibot';
import { named } from '../../views/component.ts';
import { compact } from '../../protocol/compact.ts';
import { toTime } from '../../protocol/time-text.ts';
import type { AuditEntry, StoredAuditEntry } from '../../store/audit.ts';
import type { Deps } from '../deps.ts';
import { knows } from '../caller.ts';
import { answer } from '../answer.ts';
import {
  type Operation,
  pageLimit,
  queueEntry,
  readQuery,
  ROWS_A_PAGE,
  type Route,
  route,
} from '../operation.ts';

const CURSOR_FAULT = 'must be what `next` of the page before said';

const query = {
  queue: queueEntry('What was about this queue.'),
  operation: v.optional(v.pipe(v.string(), v.maxLength(64), v.description('Changes of this `operationId`.'))),
  by: v.optional(v.pipe(v.string(), v.maxLength(64), v.description('Changes by the key with this id.'))),
  limit: pageLimit('Entries'),
  cursor: v.optional(
    v.pipe(
      v.string(),
      v.regex(/^\d{1,15}-\d{1,15}$/, CURSOR_FAULT),
      v.description('`next` of the page before.'),
    ),
  ),
};

const EntrySchema = v.object({
  id: v.string(),
  at: v.pipe(v.string(), v.description('RFC 3339')),
  by: v.exactOptional(
    v.pipe(v.string(), v.description('id of the API key; missing where no keys are required')),
  ),
  operation: v.pipe(v.string(), v.description('`operationId` of this document')),
  requestId: v.pipe(v.string(), v.description('`X-Request-Id` of the request')),
  target: v.pipe(v.record(v.string(), v.string()), v.description('parameters of the path')),
  queue: v.exactOptional(v.string()),
  facts: v.pipe(v.record(v.string(), v.unknown()), v.description('what else is known of the change')),
});

/** A change, as callers see it. */
export type AuditEntryView = v.InferOutput<typeof EntrySchema>;

const READ: Operation = {
  id: 'listAudit',
  tag: 'service',
  summary: 'What was changed, by whom',
  description:
    'Each change that needs the scope `admin` leaves an entry; the latest 10,000 are kept, about. Newest first.',
  scope: 'admin',
  query,
  answers: {
    200: {
      description: 'A page.',
      schema: v.object({
        items: v.array(named('AuditEntry', EntrySchema)),
        next: v.exactOptional(
          v.pipe(v.string(), v.description('`cursor` of the next page; absent on the last.')),
        ),
      }),
    },
  },
  problems: ['invalid-query'],
};

/** `GET /v1/audit`. A key for some queues sees what was about these. */
export function auditRoutes({ audit }: Pick<Deps, 'audit'>): readonly Route[] {
  return [
    route('GET', '/v1/audit', READ, async (c) => {
      const { queue, operation, by, limit = ROWS_A_PAGE, cursor } = readQuery(c, query);
      const caller = c.get('caller');
      const { entries, next } = await audit.read(cursor, limit, (entry) => {
        const queues = queuesOf(entry);
        if (queue !== undefined && !queues.includes(queue)) return false;
        if (operation !== undefined && entry.operation !== operation) return false;
        if (by !== undefined && entry.by !== by) return false;
        if (queues.length === 0) return caller.queues === undefined;
        return queues.every((one) => knows(caller, one));
      });
      return answer(c, 200, compact({ items: entries.map(toView), next }));
    }),
  ];
}

/** The queues that a change was about. */
function queuesOf({ queue, facts: { queues } }: AuditEntry): readonly string[] {
  const others = Array.isArray(queues) ? queues.map(String) : [];
  return queue === undefined ? others : [queue, ...others];
}

function toView({ id, at, by, operation, requestId, target, queue, facts }: StoredAuditEntry): object {
  return compact({ id, at: toTime(at), by, operation, requestId, target, queue, facts });
}
