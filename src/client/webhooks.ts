// Registered endpoints of webhooks: who is told when tasks, workflows and batches have ended.

import { listOf } from './pages.ts';
import type { CallOptions, Transport } from './transport.ts';

export interface WebhookEndpoint {
  /** Gets a signed `POST` (Standard Webhooks). */
  readonly url: string;
  /** The ends that it is about; all unless given. */
  readonly states?: readonly ('succeeded' | 'dead' | 'cancelled')[];
  /** What it is told of; tasks alone unless given. */
  readonly kinds?: readonly ('task' | 'workflow' | 'batch')[];
  /** Of tasks; all unless given. */
  readonly types?: readonly string[];
  /** Of tasks, and home queues of workflows and batches; all unless given. */
  readonly queues?: readonly string[];
}

/** An endpoint as it shall be. */
export interface WebhookRequest extends WebhookEndpoint {
  /** Nothing is sent to it. Stays as it is unless given. */
  readonly disabled?: boolean;
}

export interface WebhookView extends WebhookEndpoint {
  readonly id: string;
  readonly createdAt: string;
  readonly disabled?: { readonly at: string; readonly reason: string };
  /** Until when the secret before signs as well. */
  readonly oldSecretUntil?: string;
}

/** What came of an attempt to reach an endpoint. */
export interface WebhookAttempt {
  /** Id of the task that delivers. */
  readonly delivery: string;
  /** Id of the task that it is about, or else of the workflow, or of the batch; none of a test. */
  readonly task?: string;
  readonly workflow?: string;
  readonly batch?: string;
  readonly event: string;
  readonly at: string;
  readonly durationMs: number;
  /** Of the answer; absent when there was none: `error` says why. */
  readonly status?: number;
  readonly error?: string;
}

/** With its secret, which is shown this once. */
type WithSecret = WebhookView & { readonly secret: string };

/** A secret that signs. */
export interface WebhookSecret {
  readonly secret: string;
  /** Of the one before: until when it signs as well. */
  readonly until?: string;
}

/** They need a key with the scope `admin`. @throws ApiError from every method */
export interface Webhooks {
  /** The oldest first. */
  list(options?: CallOptions): Promise<readonly WebhookView[]>;
  get(id: string, options?: CallOptions): Promise<WebhookView>;
  /** Registers an endpoint. A repeat after a lost answer would register a second one, so it is not made: `list` says whether it is there. */
  add(endpoint: WebhookRequest, options?: CallOptions): Promise<WithSecret>;
  /** Changes all of an endpoint but its secret. */
  put(id: string, endpoint: WebhookRequest, options?: CallOptions): Promise<WebhookView>;
  remove(id: string, options?: CallOptions): Promise<void>;
  /** Gives it a new secret; for a day both sign. */
  rotate(id: string, options?: CallOptions): Promise<WithSecret>;
  /** What signs the webhooks that calls and task types ask for, the newest first; for keys that are for all queues. */
  sharedSecrets(options?: CallOptions): Promise<readonly WebhookSecret[]>;
  /** A new one for these; for a day both sign. */
  rotateSharedSecret(options?: CallOptions): Promise<readonly WebhookSecret[]>;
  /** The latest attempts to reach it, the newest first. */
  attempts(id: string, options?: CallOptions): Promise<readonly WebhookAttempt[]>;
  /** Sends it a message that is about nothing, in one attempt. @returns the id of the task that does it: `wait` says what came of it */
  test(id: string, options?: CallOptions): Promise<{ readonly id: string }>;
  /** Sends a delivery that has ended again. @returns the id of the task that does it */
  resend(id: string, delivery: string, options?: CallOptions): Promise<{ readonly id: string }>;
}

export function createWebhooks(transport: Transport): Webhooks {
  const ALL = '/v1/webhooks';
  const path = (id: string, rest = ''): string => `${ALL}/${encodeURIComponent(id)}${rest}`;
  return {
    list: ({ signal } = {}) => listOf(transport, { path: ALL, signal }),
    get: (id, { signal } = {}) => transport.json({ path: path(id), signal }),
    add: (body, { signal } = {}) => transport.json({ method: 'POST', path: ALL, body, once: true, signal }),
    put: (id, body, { signal } = {}) => transport.json({ method: 'PUT', path: path(id), body, signal }),
    remove: (id, { signal } = {}) =>
      transport.json({ method: 'DELETE', path: path(id), removes: true, signal }),
    rotate: (id, { signal } = {}) =>
      transport.json({ method: 'POST', path: path(id, '/rotate'), once: true, signal }),
    sharedSecrets: ({ signal } = {}) => listOf(transport, { path: `${ALL}/secret`, signal }),
    rotateSharedSecret: ({ signal } = {}) =>
      listOf(transport, { method: 'POST', path: `${ALL}/secret/rotate`, once: true, signal }),
    attempts: (id, { signal } = {}) => listOf(transport, { path: path(id, '/deliveries'), signal }),
    test: (id, { signal } = {}) =>
      transport.json({ method: 'POST', path: path(id, '/test'), once: true, signal }),
    resend: (id, delivery, { signal } = {}) =>
      transport.json({
        method: 'POST',
        path: path(id, `/deliveries/${encodeURIComponent(delivery)}/resend`),
        once: true,
        signal,
      }),
  };
}
