// What was changed, and by whom.

import type { AuditEntry } from './fleet-shapes.ts';
import { pagesOf } from './pages.ts';
import type { CallOptions, Transport } from './transport.ts';

/** Conditions that hold together. */
interface AuditOptions extends CallOptions {
  /** Changes that were about this queue. */
  readonly queue?: string | undefined;
  /** `operationId` in the document of the API, such as `cancelTask`. */
  readonly operation?: string | undefined;
  /** Id of the key. */
  readonly by?: string | undefined;
}

/** It needs a key with the scope `admin`. @throws ApiError from every method */
export interface Audit {
  /** Changes that needed the scope `admin`, newest first, page after page as they are read; the latest 10,000 are kept, about. */
  list(options?: AuditOptions): AsyncGenerator<AuditEntry, void, void>;
}

export function createAudit(transport: Transport): Audit {
  return {
    list: ({ signal, ...query } = {}) => pagesOf(transport, '/v1/audit', query, signal),
  };
}
