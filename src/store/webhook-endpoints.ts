// Registered endpoints of webhooks, their secrets, and what came of the latest attempts to reach them.

import type { Redis } from 'ioredis';
import { PopfleetError } from '../protocol/errors.ts';
import type { WebhookKind } from '../protocol/webhook.ts';
import { withStoreErrors } from './store-error.ts';

/** A secret in its written form. */
export interface SigningSecret {
  readonly secret: string;
  /** It signs until then, in milliseconds since 1970; `undefined` for the newest. */
  readonly until?: number | undefined;
}

interface EndpointDefinition {
  readonly url: string;
  /** Ends that it is about; all unless given, and so for `types` and `queues`. */
  readonly states?: readonly string[] | undefined;
  /** Of tasks alone, unless given. */
  readonly kinds?: readonly WebhookKind[] | undefined;
  readonly types?: readonly string[] | undefined;
  readonly queues?: readonly string[] | undefined;
}

export interface Endpoint extends EndpointDefinition {
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  /** The newest first. */
  readonly secrets: readonly SigningSecret[];
  /** Nothing is sent any more. */
  readonly disabled?: { readonly at: number; readonly reason: string } | undefined;
}

/** One call to an endpoint. */
export interface DeliveryAttempt {
  readonly delivery: string;
  readonly task?: string | undefined;
  readonly workflow?: string | undefined;
  readonly batch?: string | undefined;
  readonly event: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly durationMs: number;
  /** Of the answer, when there was one. */
  readonly status?: number | undefined;
  readonly error?: string | undefined;
}

/** @throws PopfleetError `redis-unavailable` from every method when Redis does not answer */
export interface WebhookEndpoints {
  /** The oldest first. */
  list(): Promise<readonly Endpoint[]>;
  find(id: string): Promise<Endpoint | undefined>;
  /** Writes a new endpoint. @returns false when there are too many already */
  add(endpoint: Endpoint): Promise<boolean>;
  /**
   * Writes what has changed of an endpoint, but for whether it is disabled.
   * @param before as it was read
   * @throws PopfleetError `changed-meanwhile` when it is not so any more; then nothing was written
   */
  replace(before: Endpoint, after: Endpoint): Promise<void>;
  /** @param reason `undefined` = it is sent to again */
  disable(id: string, reason: string | undefined): Promise<void>;
  /** @returns whether there was one */
  remove(id: string): Promise<boolean>;
  /** What signs webhooks of calls and types. @param create makes the first one */
  shared(create: () => string): Promise<readonly SigningSecret[]>;
  /** As `replace`. */
  replaceShared(before: readonly SigningSecret[], after: readonly SigningSecret[]): Promise<void>;
  note(id: string, attempt: DeliveryAttempt): Promise<void>;
  /** The latest first. */
  attempts(id: string): Promise<readonly DeliveryAttempt[]>;
}

/** Hash: `<id>` → JSON of an endpoint, `<id>:disabled` → JSON of when and why. */
export const ENDPOINTS_KEY = 'pf:webhooks';
const SHARED_KEY = 'pf:webhook-secret';
const attemptsKey = (id: string): string => `pf:webhook-attempts:${id}`;

/** Each is looked at for each new task. */
export const MOST_ENDPOINTS = 100;
const ATTEMPTS_KEPT = 100;
const ATTEMPTS_KEPT_MS = 30 * 86_400_000;

/** Two callers that change the same at the same time: the later one has not seen what the first has written. */
const REPLACE_FIELD = `
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1`;
const REPLACE_TEXT = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1`;

/** @param client a connection of `openCommandConnection` */
export function createWebhookEndpoints(client: Redis): WebhookEndpoints {
  return withStoreErrors<WebhookEndpoints>({
    list: async () => readEndpoints(await client.hgetall(ENDPOINTS_KEY)),

    async find(id) {
      const [endpoint = null, disabled = null] = await client.hmget(ENDPOINTS_KEY, id, disabledField(id));
      return readEndpoint(id, endpoint, disabled);
    },

    async add(endpoint) {
      if (readEndpoints(await client.hgetall(ENDPOINTS_KEY)).length >= MOST_ENDPOINTS) return false;
      await client.hset(ENDPOINTS_KEY, endpoint.id, writeEndpoint(endpoint));
      return true;
    },

    async replace(before, after) {
      const texts = [textOf(before), writeEndpoint(after)];
      demandWritten(await client.eval(REPLACE_FIELD, 1, ENDPOINTS_KEY, before.id, ...texts));
    },

    async disable(id, reason) {
      if (reason === undefined) await client.hdel(ENDPOINTS_KEY, disabledField(id));
      else await client.hset(ENDPOINTS_KEY, disabledField(id), JSON.stringify({ at: Date.now(), reason }));
    },

    async remove(id) {
      const [, , removed] = await Promise.all([
        client.del(attemptsKey(id)),
        client.hdel(ENDPOINTS_KEY, disabledField(id)),
        client.hdel(ENDPOINTS_KEY, id),
      ]);
      return removed === 1;
    },

    async shared(create) {
      const found = readSecrets(await client.get(SHARED_KEY));
      if (found) return found;
      await client.set(SHARED_KEY, JSON.stringify([{ secret: create() }]), 'NX');
      return readSecrets(await client.get(SHARED_KEY)) ?? [];
    },

    async replaceShared(before, after) {
      const texts = [before, after].map((secrets) => JSON.stringify(secrets));
      demandWritten(await client.eval(REPLACE_TEXT, 1, SHARED_KEY, ...texts));
    },

    async note(id, attempt) {
      const key = attemptsKey(id);
      await Promise.all([
        client.lpush(key, JSON.stringify(attempt)),
        client.ltrim(key, 0, ATTEMPTS_KEPT - 1),
        client.pexpire(key, ATTEMPTS_KEPT_MS),
      ]);
    },

    async attempts(id) {
      const texts = await client.lrange(attemptsKey(id), 0, -1);
      return texts.flatMap((text) => (readJson(text) as DeliveryAttempt | undefined) ?? []);
    },
  });
}

function disabledField(id: string): string {
  return `${id}:disabled`;
}

function writeEndpoint({ url, states, kinds, types, queues, createdAt, secrets }: Endpoint): string {
  return JSON.stringify({ url, states, kinds, types, queues, createdAt, secrets });
}

function demandWritten(reply: unknown): void {
  if (reply === 1) return;
  throw new PopfleetError(
    'changed-meanwhile',
    'Another call has changed or deleted it at the same time, and this one has changed nothing. Read it, and call again if that is still wanted.',
  );
}

/** An endpoint that was read, as Redis has it: its members stand in their order, also those of a later release. */
function textOf({ id: _id, disabled: _disabled, ...stored }: Endpoint): string {
  return JSON.stringify(stored);
}

/** @param fields as `ENDPOINTS_KEY` has them; those that cannot be read are left out */
export function readEndpoints(fields: Readonly<Record<string, string>>): Endpoint[] {
  const known = new Map(Object.entries(fields));
  const endpoints = [...known].flatMap(([id, text]) =>
    id.endsWith(':disabled') ? [] : (readEndpoint(id, text, known.get(disabledField(id)) ?? null) ?? []),
  );
  return endpoints.sort((one, other) => one.createdAt - other.createdAt);
}

function readEndpoint(id: string, text: string | null, disabled: string | null): Endpoint | undefined {
  const endpoint = readJson(text) as Omit<Endpoint, 'id'> | undefined;
  if (typeof endpoint?.url !== 'string' || !Array.isArray(endpoint.secrets)) return undefined;
  const read = readJson(disabled) as Endpoint['disabled'];
  return { ...endpoint, id, ...(read && { disabled: read }) };
}

function readSecrets(text: string | null): readonly SigningSecret[] | undefined {
  return readJson(text) as readonly SigningSecret[] | undefined;
}

/** `undefined` when there is none, or another program has spoilt it. */
function readJson(text: string | null): unknown {
  try {
    return text === null ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}
