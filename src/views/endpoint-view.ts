// A registered endpoint of webhooks as callers see it, and what came of the attempts to reach it.

import * as v from 'valibot';
import { compact } from '../protocol/compact.ts';
import { toOptionalTime, toTime } from '../protocol/time-text.ts';
import { WEBHOOK_KINDS, WEBHOOK_STATES } from '../protocol/webhook.ts';
import type { Endpoint } from '../store/webhook-endpoints.ts';
import { named } from './component.ts';

const endpointEntries = {
  id: v.string(),
  url: v.string(),
  states: v.exactOptional(
    v.pipe(v.array(v.picklist(WEBHOOK_STATES)), v.description('ends that it is about; absent = all')),
  ),
  kinds: v.exactOptional(
    v.pipe(v.array(v.picklist(WEBHOOK_KINDS)), v.description('what it is told of; absent = tasks')),
  ),
  types: v.exactOptional(v.pipe(v.array(v.string()), v.description('of tasks; absent = all'))),
  queues: v.exactOptional(
    v.pipe(
      v.array(v.string()),
      v.description('of tasks, and home queues of workflows and batches; absent = all'),
    ),
  ),
  createdAt: v.string(),
  disabled: v.exactOptional(v.object({ at: v.string(), reason: v.string() })),
  oldSecretUntil: v.exactOptional(
    v.pipe(v.string(), v.description('until when the secret before signs as well')),
  ),
};
export const EndpointSchema = named('WebhookEndpoint', v.object(endpointEntries));
const Secret = v.pipe(v.string(), v.description('Shown this once.'));
export const NewEndpointSchema = named(
  'NewWebhookEndpoint',
  v.object({ ...endpointEntries, secret: Secret }),
);

export const AttemptsSchema = named(
  'WebhookAttempts',
  v.object({
    items: v.array(
      v.object({
        delivery: v.pipe(v.string(), v.description('id of the task that delivers')),
        task: v.exactOptional(v.pipe(v.string(), v.description('id of the task that it is about'))),
        workflow: v.exactOptional(v.pipe(v.string(), v.description('or of the workflow'))),
        batch: v.exactOptional(v.pipe(v.string(), v.description('or of the batch'))),
        event: v.string(),
        at: v.string(),
        durationMs: v.number(),
        status: v.exactOptional(v.number()),
        error: v.exactOptional(v.string()),
      }),
    ),
  }),
);

export function toEndpointView({ secrets, createdAt, disabled, ...endpoint }: Endpoint): object {
  const old = secrets.find(({ until }) => until !== undefined && until > Date.now());
  return compact({
    ...endpoint,
    createdAt: toTime(createdAt),
    disabled: disabled && { at: toTime(disabled.at), reason: disabled.reason },
    oldSecretUntil: toOptionalTime(old?.until),
  });
}
