// Tokens that tasks wait for.

import type { CompletedWaitpoint } from './shapes.ts';
import type { CallOptions, Transport } from './transport.ts';

/** @throws ApiError from every method */
export interface Waitpoints {
  /**
   * Completes a token that a task has made, before the task waits for it or while it does. The same payload again is answered alike.
   * @param payload any JSON value; the handler finds it as `context.waited.payload`
   * @throws ApiError `not-found`; `invalid-state` when another payload has come before, the wait was over, or the task has ended
   */
  complete(token: string, payload?: unknown, options?: CallOptions): Promise<CompletedWaitpoint>;
}

export function createWaitpoints(transport: Transport): Waitpoints {
  return {
    complete: (token, payload, { signal } = {}) =>
      transport.json({
        method: 'POST',
        path: `/v1/waitpoints/${encodeURIComponent(token)}`,
        body: payload === undefined ? {} : { payload },
        signal,
      }),
  };
}
