// Delivers webhooks: the runner of their tasks, which makes one call an attempt.

import type { Log } from '../log.ts';
import type { DeliveryResult } from '../metrics/delivery-metrics.ts';
import { encodeCbor } from '../protocol/cbor.ts';
import { compact } from '../protocol/compact.ts';
import { PopfleetError } from '../protocol/errors.ts';
import { decodeContent } from '../protocol/message.ts';
import { type Delivery, readDelivery } from '../protocol/webhook.ts';
import type { DeliveryAttempt, SigningSecret, WebhookEndpoints } from '../store/webhook-endpoints.ts';
import { VERSION } from '../version.ts';
import type { HandlerEnd, Job, RunEnd, Runner, StopSource } from '../worker/runners/runner.ts';
import { createFairShare, type FairShare } from './fair-share.ts';
import { type Checked, type Guard, RefusedReceiver } from './guard.ts';
import { post } from './post.ts';
import { createSecret, signedHeaders } from './signature.ts';

export interface DeliverDeps {
  readonly endpoints: Pick<WebhookEndpoints, 'find' | 'shared' | 'disable' | 'note'>;
  readonly guard: Guard;
  /** Calls at the same time. */
  readonly places: number;
  readonly log: Log;
  /** Is told how each attempt went; one that was stopped was none. */
  readonly onAttempt?: ((result: DeliveryResult) => void) | undefined;
  /** Milliseconds for one call, all in all. */
  readonly limitMs?: number;
  readonly random?: () => number;
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** Until the second attempt, the third …, in milliseconds: the table of Standard Webhooks. */
const DELAYS_MS = [
  5 * SECOND,
  5 * MINUTE,
  30 * MINUTE,
  2 * HOUR,
  5 * HOUR,
  10 * HOUR,
  14 * HOUR,
  20 * HOUR,
  24 * HOUR,
];
/** A delay is longer by up to this part: what failed together does not come back together. */
const JITTER = 0.1;
/** A receiver may ask to be left alone for so long at most. */
const LONGEST_RETRY_AFTER_MS = 24 * HOUR;
const LIMIT_MS = 15 * SECOND;

const GONE = 410;
/** Statuses whose `Retry-After` is obeyed. */
const THROTTLES = new Set([429, 502, 503, 504]);

/** Why an attempt failed. `permanent`: the next one would fail in the same way. */
class FailedDelivery extends Error {
  override readonly name = 'FailedDelivery';
  readonly status: number | undefined;
  readonly permanent: boolean;
  readonly retryAfterMs: number;

  constructor(message: string, permanent: boolean, status?: number, retryAfterMs = 0, cause?: unknown) {
    super(message, { cause });
    this.permanent = permanent;
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

/** The receiver is slow, and has its part of the places. */
class CrowdedOut extends Error {
  override readonly name = 'CrowdedOut';
}
/** Until a delivery that was not sent is tried again, in milliseconds: from once to thrice this. */
const UNSENT_DELAY_MS = 10 * SECOND;

/** Where a delivery goes, and what signs it. */
interface Receiver {
  readonly url: string;
  readonly secrets: readonly SigningSecret[];
}

export function createDeliver(deps: DeliverDeps): Runner {
  const { random = Math.random, limitMs = LIMIT_MS } = deps;
  const share = createFairShare(deps.places);
  return {
    async run(job, stop): Promise<RunEnd> {
      const delivery = deliveryOf(job);
      if (!delivery) {
        return failed(new FailedDelivery('the input is no delivery: another program has made it', true), 0);
      }
      const begunAt = performance.now();
      let status: number | undefined;
      let failure: FailedDelivery | undefined;
      try {
        status = await callUntil(stop, (signal) =>
          attempt(job, delivery, { ...deps, share }, limitMs, signal),
        );
      } catch (error) {
        // Neither is the fault of the receiver.
        if (error instanceof CrowdedOut || error instanceof PopfleetError) {
          deps.onAttempt?.('unsent');
          return snoozed(error, random);
        }
        failure = toFailed(error);
        status = failure.status;
      }
      const durationMs = Math.round(performance.now() - begunAt);
      // Whoever stopped it is to blame for the failure.
      if (failure && stop.reason)
        return { ...failed(failure, 0), stop: { reason: stop.reason, latencyMs: 0 } };
      deps.onAttempt?.(failure ? 'failed' : 'delivered');
      await note(job, delivery, { durationMs, status, error: failure?.message }, deps);
      if (!failure)
        return { kind: 'succeeded', result: encodeCbor({ status, durationMs }), report: undefined };
      const tableMs = (DELAYS_MS[job.attempt - 1] ?? 0) * (1 + JITTER * random());
      const askedMs = Math.min(failure.retryAfterMs, LONGEST_RETRY_AFTER_MS);
      return failed(failure, Math.round(Math.max(tableMs, askedMs)));
    },
  };
}

function deliveryOf({ content }: Job): Delivery | undefined {
  try {
    return readDelivery(decodeContent(content).input);
  } catch {
    return undefined;
  }
}

/** Makes a call that is broken off when its task shall stop. */
async function callUntil<T>(stop: StopSource, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const off = stop.onStop(() => controller.abort());
  try {
    return await call(controller.signal);
  } finally {
    off();
  }
}

/** @returns the status of the receiver, when it took the message @throws FailedDelivery, PopfleetError of the store */
async function attempt(
  job: Job,
  delivery: Delivery,
  deps: DeliverDeps & { readonly share: FairShare },
  limitMs: number,
  signal: AbortSignal,
): Promise<number> {
  const { endpoints, guard, share } = deps;
  const endsAt = performance.now() + limitMs;
  const { url, secrets } = await receiverOf(delivery, endpoints);
  const target = new URL(url);
  const leave = share.enter(target.host);
  if (!leave)
    throw new CrowdedOut(`${target.host} is slow: this waits until fewer calls to it are under way`);
  try {
    const address = await before(endsAt, guard.check(target));
    return await send(job, delivery, { target, address, secrets }, deps, endsAt, signal);
  } finally {
    leave();
  }
}

/** A receiver that was found. */
interface Target {
  readonly target: URL;
  readonly address: Checked;
  readonly secrets: readonly SigningSecret[];
}

/** As `attempt`. @param endsAt by `performance.now()` */
async function send(
  job: Job,
  delivery: Delivery,
  { target, address, secrets }: Target,
  { endpoints, log }: DeliverDeps,
  endsAt: number,
  signal: AbortSignal,
): Promise<number> {
  const body = Buffer.from(delivery.body);
  const now = Date.now();
  const valid = secrets.filter(({ until }) => until === undefined || until > now);
  const headers = {
    'content-type': 'application/json',
    'user-agent': `popfleet/${VERSION}`,
    ...signedHeaders(
      valid.map(({ secret }) => secret),
      delivery.message ?? job.id,
      Math.floor(now / SECOND),
      body,
    ),
  };
  const { status, retryAfterMs = 0 } = await post(
    target,
    address,
    headers,
    body,
    endsAt - performance.now(),
    signal,
  );
  if (status >= 200 && status < 300) return status;
  if (status === GONE && delivery.endpoint !== undefined) {
    await endpoints.disable(delivery.endpoint, `it answered ${GONE}: it wants nothing any more`);
    log.warn({ endpoint: delivery.endpoint }, 'an endpoint answered 410 and is disabled');
  }
  const hint = status >= 300 && status < 400 ? ', and redirects are not followed' : '';
  throw new FailedDelivery(
    `the receiver answered ${status}${hint}`,
    status === GONE,
    status,
    THROTTLES.has(status) ? retryAfterMs : 0,
  );
}

/** @throws FailedDelivery when there is none any more */
async function receiverOf(
  { endpoint: id, url }: Delivery,
  endpoints: DeliverDeps['endpoints'],
): Promise<Receiver> {
  if (id === undefined) return { url: url ?? '', secrets: await endpoints.shared(createSecret) };
  const endpoint = await endpoints.find(id);
  if (!endpoint) throw new FailedDelivery(`the endpoint ${id} was deleted`, true);
  if (endpoint.disabled) {
    throw new FailedDelivery(`the endpoint ${id} is disabled: ${endpoint.disabled.reason}`, true);
  }
  return endpoint;
}

/** A name that takes too long to be resolved is one that cannot be. @param at by `performance.now()` */
function before<T>(at: number, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const error = new FailedDelivery('its name was not resolved in time', false);
    const timer = setTimeout(() => reject(error), at - performance.now());
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

function toFailed(error: unknown): FailedDelivery {
  if (error instanceof FailedDelivery) return error;
  if (error instanceof RefusedReceiver) {
    return new FailedDelivery(error.message, error.isForGood, undefined, 0, error.cause);
  }
  const { message, code } = error as NodeJS.ErrnoException;
  const why = typeof code === 'string' && !message.includes(code) ? `${message} (${code})` : message;
  return new FailedDelivery(`the receiver cannot be reached: ${why}`, false, undefined, 0, error);
}

function snoozed({ name, message }: Error, random: () => number): HandlerEnd {
  const delayMs = Math.round(UNSENT_DELAY_MS * (1 + 2 * random()));
  return { kind: 'snoozed', delayMs, error: { name, message }, report: undefined };
}

function failed(failure: FailedDelivery, delayMs: number): Extract<HandlerEnd, { kind: 'failed' }> {
  const { name, message, status, permanent } = failure;
  const error = { name, message, ...(status !== undefined && { code: String(status) }) };
  return { kind: 'failed', error, permanent, delayMs, report: undefined };
}

/** The log is for people: a delivery does not fail for it. */
async function note(
  { id }: Job,
  { endpoint, task, workflow, batch, event }: Delivery,
  { durationMs, status, error }: Pick<DeliveryAttempt, 'durationMs' | 'status' | 'error'>,
  { endpoints, log }: DeliverDeps,
): Promise<void> {
  if (endpoint === undefined) return;
  const at = Date.now() - durationMs;
  const about = { task, workflow, batch, event };
  const attempted = compact<DeliveryAttempt>({ delivery: id, ...about, at, durationMs, status, error });
  await endpoints
    .note(endpoint, attempted)
    .catch((fault: unknown) =>
      log.debug({ err: fault, endpoint }, 'an attempt is not in the log of its endpoint'),
    );
}
