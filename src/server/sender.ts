// The sender of the tasks of a request, in the form that `accept` takes.

import { getConnInfo } from '@hono/node-server/conninfo';
import type { Context } from 'hono';
import type { Sender } from '../accept/new-task.ts';
import type { PopfleetError } from '../protocol/errors.ts';
import type { AppEnv } from './app-env.ts';
import type { Quota } from './quota.ts';
import { traceparentOf } from './trace-context.ts';

/** Sets `rateLimit` of the context to the headers with what is left of the sender's quota. */
export function senderOf(c: Context<AppEnv>, quota: Quota | undefined): Sender {
  const { key, queues } = c.get('caller');
  const traceparent = traceparentOf(c);
  if (!quota) return { key, queues, traceparent };
  const spend = (tasks: number): PopfleetError | undefined => {
    const { headers, error } = quota.take(quotaOwner(c), tasks);
    c.set('rateLimit', headers);
    return error;
  };
  return { key, queues, traceparent, spend };
}

/** Whose quota a request uses: the caller's key, or without keys the address it comes from. */
function quotaOwner(c: Context<AppEnv>): string {
  const { key } = c.get('caller');
  return key === undefined ? `address ${getConnInfo(c).remote.address ?? ''}` : `key ${key}`;
}
