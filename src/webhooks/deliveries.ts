// The service that delivers webhooks, with places of its own: it serves the reserved queue as a worker serves others, and what
// runs there is a call to a receiver.

import * as v from 'valibot';
import type { Service } from '../lifecycle.ts';
import { WEBHOOK_QUEUE, WEBHOOK_TYPE } from '../protocol/webhook.ts';
import type { ConnectionSettings } from '../store/client.ts';
import { defineTask } from '../tasks/define.ts';
import type { Registry } from '../tasks/registry.ts';
import type { Log } from '../log.ts';
import { createSemaphore, limitRunner } from '../worker/runners/semaphore.ts';
import { createServing, type ServingSettings } from '../worker/serving.ts';
import { createDeliver, type DeliverDeps } from './deliver.ts';
import { DELIVERY_ATTEMPTS } from './delivery.ts';
import { createGuard } from './guard.ts';

export interface DeliverySettings
  extends Omit<ServingSettings, 'queues' | 'concurrency' | 'threads' | 'shutdownGraceMs'> {
  /** Calls at the same time. */
  readonly webhookConcurrency: number;
  /** Hosts and networks that are allowed although they are inside. */
  readonly webhookAllow: readonly string[];
  /** How long calls that are under way may take at the stop, in milliseconds. */
  readonly drainMs: number;
}

/** Nothing runs in threads here: the definition is for its defaults alone. */
const DELIVERY = defineTask({
  type: WEBHOOK_TYPE,
  input: v.unknown(),
  defaults: { maxAttempts: DELIVERY_ATTEMPTS },
  run(): never {
    throw new TypeError('deliveries have a runner of their own');
  },
});
const REGISTRY: Registry = new Map([[WEBHOOK_TYPE, DELIVERY]]);

export interface DeliveryDeps {
  readonly connection: ConnectionSettings;
  readonly endpoints: DeliverDeps['endpoints'];
  readonly log: Log;
  readonly onAttempt?: DeliverDeps['onAttempt'];
}

export function createDeliveries(
  settings: DeliverySettings,
  { connection, endpoints, log, onAttempt }: DeliveryDeps,
): Service {
  const { webhookConcurrency: concurrency, webhookAllow, drainMs } = settings;
  const serving = {
    ...settings,
    queues: [WEBHOOK_QUEUE],
    concurrency,
    threads: 0,
    // A call that is broken off is made again, with the same id.
    shutdownGraceMs: drainMs,
  };
  const deps = {
    connection,
    registry: REGISTRY,
    log,
    // The server answers all the same: it is not replaced because deliveries cannot go on.
    onStuck: (): void => log.error('webhooks cannot be delivered, trying again until it works'),
  };
  return createServing('delivery of webhooks', serving, deps, (prefetch, _link, { onRan }) => {
    const deliver = createDeliver({
      endpoints,
      guard: createGuard(webhookAllow),
      places: concurrency,
      log,
      onAttempt,
    });
    const runner = limitRunner(deliver, createSemaphore(concurrency), prefetch, onRan);
    return { services: [], threads: runner, inline: runner, processes: runner };
  });
}
