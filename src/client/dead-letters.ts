// Dead letters of the API, by their fingerprint: failures with the same cause have the same one.

import { listOf, pagesOf } from './pages.ts';
import type { ErrorGroupView } from './shapes.ts';
import type { ApiRequest, CallOptions, Transport } from './transport.ts';

interface DeadLettersOptions extends CallOptions {
  /** All queues of the key unless given. */
  readonly queue?: string | undefined;
  readonly type?: string | undefined;
  /** RFC 3339: last seen then or later. */
  readonly since?: string | undefined;
  /** Those that are ignored alone, or all others alone. */
  readonly ignored?: boolean | undefined;
  /** Those alone that were first seen since the oldest of the live workers of their queue started. */
  readonly new?: boolean | undefined;
}

interface IgnoreOptions extends CallOptions {
  /** Each queue of the key that has it unless given. */
  readonly queue?: string | undefined;
  /** RFC 3339: then it is over. */
  readonly until?: string | undefined;
  /** It is over as soon as more tasks than that have died of it from now on. */
  readonly moreDeaths?: number | undefined;
}

/** @throws ApiError from every method */
export interface DeadLetters {
  /** Kinds of failures, the one that was seen last comes first; page after page as they are read. */
  list(options?: DeadLettersOptions): AsyncGenerator<ErrorGroupView, void, void>;
  /** One kind of failure, in each queue that has it. */
  get(fingerprint: string, options?: CallOptions): Promise<readonly ErrorGroupView[]>;
  /** Has nobody warned of it for a while; without an end until it is heeded again. */
  ignore(fingerprint: string, options?: IgnoreOptions): Promise<readonly ErrorGroupView[]>;
  /** Has people warned of it again. */
  heed(
    fingerprint: string,
    options?: Pick<IgnoreOptions, 'queue' | 'signal'>,
  ): Promise<readonly ErrorGroupView[]>;
}

export function createDeadLetters(transport: Transport): DeadLetters {
  const path = (fingerprint: string): string => `/v1/errors/${encodeURIComponent(fingerprint)}`;
  const groups = (request: ApiRequest) => listOf<ErrorGroupView>(transport, request);
  return {
    list: ({ signal, ...query } = {}) => pagesOf<ErrorGroupView>(transport, '/v1/errors', query, signal),
    get: (fingerprint, { signal } = {}) => groups({ path: path(fingerprint), signal }),
    ignore: (fingerprint, { signal, ...body } = {}) =>
      groups({ method: 'PUT', path: `${path(fingerprint)}/ignored`, body, signal }),
    heed: (fingerprint, { queue, signal } = {}) =>
      groups({ method: 'DELETE', path: `${path(fingerprint)}/ignored`, query: { queue }, signal }),
  };
}
