// Which registered endpoints follow a new task. Whatever accepts tasks asks here, so it is remembered for a second.

import type { Redis } from 'ioredis';
import type { Soon } from '../lifecycle.ts';
import { typeOfContent } from '../protocol/message.ts';
import { WEBHOOK_QUEUE, type WebhookKind } from '../protocol/webhook.ts';
import type { NewTask, TaskExtras } from './new-task.ts';
import { ENDPOINTS_KEY, readEndpoints } from './webhook-endpoints.ts';
import { writeWebhook } from './webhook-follower.ts';

/** One endpoint. */
interface Rule {
  readonly types: ReadonlySet<string> | undefined;
  readonly queues: ReadonlySet<string> | undefined;
  /** By what it is told of; as the column `followers` keeps it. */
  readonly followers: ReadonlyMap<WebhookKind, string>;
}
export type EndpointRules = readonly Rule[];

export interface KnownRules {
  /** A promise only after a while without tasks: then they are read first. @throws Error of ioredis */
  current(): Soon<EndpointRules>;
}

/** Rules of this age are read anew beside what goes on, those of the other age before anything else. Milliseconds. */
const FRESH_MS = 1_000;
const STALE_MS = 2_000;

const ofClients = new WeakMap<Redis, KnownRules>();

/** @param client a connection of `openCommandConnection`: those that ask over the same one share what was read */
export function endpointRulesOf(client: Redis): KnownRules {
  let known = ofClients.get(client);
  if (!known) ofClients.set(client, (known = openRules(client)));
  return known;
}

function openRules(client: Redis): KnownRules {
  let rules: EndpointRules = [];
  let readAt = Number.NEGATIVE_INFINITY;
  let reading: Promise<EndpointRules> | undefined;

  async function read(): Promise<EndpointRules> {
    const askedAt = performance.now();
    try {
      rules = toRules(await client.hgetall(ENDPOINTS_KEY));
      readAt = askedAt;
      return rules;
    } finally {
      reading = undefined;
    }
  }

  client.on('close', () => {
    // Another Redis may stand behind the connection that comes back.
    readAt = Number.NEGATIVE_INFINITY;
  });

  return {
    current() {
      const age = performance.now() - readAt;
      if (age < FRESH_MS) return rules;
      reading ??= read();
      if (age >= STALE_MS) return reading;
      reading.catch(() => undefined);
      return rules;
    },
  };
}

function toRules(fields: Readonly<Record<string, string>>): EndpointRules {
  return readEndpoints(fields).flatMap(({ id, states, kinds = ['task'], types, queues, disabled }) =>
    disabled
      ? []
      : {
          types: types && new Set(types),
          queues: queues && new Set(queues),
          followers: new Map(kinds.map((kind) => [kind, followerOf(id, states, kind)])),
        },
  );
}

function followerOf(endpoint: string, states: readonly string[] | undefined, kind: WebhookKind): string {
  return writeWebhook(kind === 'task' ? { endpoint, states } : { endpoint, states, kind });
}

/** What follows a new record of a queue: the endpoints that are about it, as the column `followers` keeps them. */
export function recordWebhooks(
  rules: EndpointRules,
  kind: 'workflow' | 'batch',
  queue: string,
): readonly string[] {
  return rules.flatMap(({ followers, queues }) => {
    const follower = followers.get(kind);
    return follower !== undefined && (queues?.has(queue) ?? true) ? [follower] : [];
  });
}

/** Adds to what follows a new task the endpoints that are about it. Deliveries themselves are followed by none. */
export function withEndpoints(
  rules: EndpointRules,
  queue: string,
  content: Uint8Array,
  extras: TaskExtras | undefined,
): TaskExtras | undefined {
  if (rules.length === 0 || queue === WEBHOOK_QUEUE) return extras;
  const type = typeOfContent(content) ?? '';
  const followers = rules
    .filter(({ types, queues }) => (types?.has(type) ?? true) && (queues?.has(queue) ?? true))
    .flatMap((rule) => rule.followers.get('task') ?? []);
  if (followers.length === 0) return extras;
  const own = extras?.follower === undefined ? [] : [extras.follower];
  return { ...extras, follower: [...own, ...followers].join(' ') };
}

/** As `withEndpoints`, for all tasks of a call. */
export function allWithEndpoints(
  rules: EndpointRules,
  queue: string,
  tasks: readonly NewTask[],
): readonly NewTask[] {
  if (rules.length === 0) return tasks;
  return tasks.map((task) => ({ ...task, extras: withEndpoints(rules, queue, task.content, task.extras) }));
}
