// Dead letters of the API, by their fingerprint: failures with the same cause have the same one.

import { pagesOf } from './pages.ts';
import type { ErrorGroupView } from './shapes.ts';
import type { Transport } from './transport.ts';

interface DeadLettersOptions {
  /** All queues of the key unless given. */
  readonly queue?: string | undefined;
  readonly type?: string | undefined;
  /** RFC 3339: last seen then or later. */
  readonly since?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** @throws ApiError from every method */
export interface DeadLetters {
  /** Kinds of failures, the one that was seen last comes first; page after page as they are read. */
  list(options?: DeadLettersOptions): AsyncGenerator<ErrorGroupView, void, void>;
  /** One kind of failure, in each queue that has it. */
  get(fingerprint: string, signal?: AbortSignal): Promise<readonly ErrorGroupView[]>;
}

export function createDeadLetters(transport: Transport): DeadLetters {
  return {
    list: ({ signal, ...query } = {}) => pagesOf<ErrorGroupView>(transport, '/v1/errors', query, signal),
    async get(fingerprint, signal) {
      const path = `/v1/errors/${encodeURIComponent(fingerprint)}`;
      return (await transport.json<{ readonly items: readonly ErrorGroupView[] }>({ path, signal })).items;
    },
  };
}
