// Webhooks: what a call asks for, and the names under which deliveries are kept. A delivery is a task of a reserved type on a
// reserved queue, which only popfleet itself makes.

import * as v from 'valibot';
import type { TaskState } from './task-state.ts';

/** Where deliveries wait. Nobody else sends tasks there. */
export const WEBHOOK_QUEUE = 'webhooks';
export const WEBHOOK_TYPE = 'popfleet.webhook';

/** States in which a task ends, and about which a receiver may be told. */
export const WEBHOOK_STATES = ['succeeded', 'dead', 'cancelled'] as const satisfies readonly TaskState[];

/** What may end, and whose ends a registered endpoint may be told of. */
export const WEBHOOK_KINDS = ['task', 'workflow', 'batch'] as const;
export type WebhookKind = (typeof WEBHOOK_KINDS)[number];

const LONGEST_URL = 2_048;

/**
 * Why a text is no address of a receiver, as the end of a sentence; `undefined` when it may be one. Whether popfleet may connect
 * to it is another question, which is asked at each delivery (webhooks/guard.ts).
 */
export function faultOfWebhookUrl(text: string): string | undefined {
  if (text.length > LONGEST_URL) return `must have at most ${LONGEST_URL} characters`;
  if (!URL.canParse(text)) return 'must be a URL such as https://example.org/hook';
  const { protocol, username, password } = new URL(text);
  if (protocol !== 'https:' && protocol !== 'http:') return 'must begin with https:// or http://';
  if (username !== '' || password !== '')
    return 'must have no user name and no password: receivers check the signature';
  return undefined;
}

const Url = v.pipe(
  v.string('must be text'),
  v.rawCheck(({ dataset, addIssue }) => {
    const fault = dataset.typed ? faultOfWebhookUrl(dataset.value) : undefined;
    if (fault !== undefined) addIssue({ message: fault });
  }),
);

const STATES_FAULT = `must be a list of ${WEBHOOK_STATES.join(', ')}`;
const States = v.pipe(
  v.array(v.picklist(WEBHOOK_STATES, `must be one of ${WEBHOOK_STATES.join(', ')}`), STATES_FAULT),
  v.minLength(1, 'must name at least one state'),
  v.maxLength(WEBHOOK_STATES.length, `must name at most ${WEBHOOK_STATES.length} states`),
);

/** What an endpoint is told of; ends of tasks unless it says so. */
export const KindsSchema = v.pipe(
  v.array(v.picklist(WEBHOOK_KINDS, `must be one of ${WEBHOOK_KINDS.join(', ')}`), 'must be a list'),
  v.minLength(1, 'must have at least one entry'),
  v.maxLength(WEBHOOK_KINDS.length, `must have at most ${WEBHOOK_KINDS.length} entries`),
);

/** What every webhook has: where it goes, and which ends it is about (all, unless it says so). */
export const webhookEntries = { url: Url, states: v.optional(States) };

/** The option `webhook` of a task. */
export const WebhookEntries = v.strictObject(webhookEntries);
export type Webhook = v.InferOutput<typeof WebhookEntries>;

/** What follows a task, before it ends: input of the reserved type in the column `followers`. */
export interface WebhookTarget {
  /** Of a registered endpoint, whose address is looked up at each delivery. */
  readonly endpoint?: string | undefined;
  /** Of a call or a type. */
  readonly url?: string | undefined;
  readonly states?: readonly string[] | undefined;
  /** What it is about: a task unless given. */
  readonly kind?: WebhookKind | undefined;
}

/** Input of a delivery. */
export interface Delivery {
  readonly endpoint?: string | undefined;
  readonly url?: string | undefined;
  /** The task, the workflow or the batch that has ended; none of a test. */
  readonly task?: string | undefined;
  readonly workflow?: string | undefined;
  readonly batch?: string | undefined;
  /** Its queue: whoever may see that may see the delivery. */
  readonly queue: string;
  /** Such as `task.succeeded`. */
  readonly event: string;
  /** What is sent, the same at each attempt. */
  readonly body: string;
  /** `webhook-id`, when it is not the id of this delivery: that of the one which is sent again. */
  readonly message?: string | undefined;
}

/** @param input of a task of the reserved type; `undefined` when it is not as popfleet writes it */
export function readTarget(input: unknown): WebhookTarget | undefined {
  const { endpoint, url, states, kind } = (input ?? {}) as Partial<WebhookTarget>;
  if (typeof endpoint !== 'string' && typeof url !== 'string') return undefined;
  return { endpoint, url, states: Array.isArray(states) ? states : undefined, kind };
}

/** As `readTarget`. */
export function readDelivery(input: unknown): Delivery | undefined {
  const delivery = (input ?? {}) as Partial<Delivery>;
  const { queue, event, body } = delivery;
  if (!readTarget(input)) return undefined;
  const isWhole = [queue, event, body].every((text) => typeof text === 'string');
  return isWhole ? (delivery as Delivery) : undefined;
}
