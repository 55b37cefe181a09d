// What the routes that send tasks need: the way in, and the limits in front of it.

import { type Accept, createAccept } from '../accept/accept.ts';
import { type CapacityLimits, createCapacity } from '../store/capacity.ts';
import { createKeyOwners } from '../store/key-owners.ts';
import { createProducer } from '../store/producer.ts';
import { createQueueNames } from '../store/queue-names.ts';
import type { Registry } from '../tasks/registry.ts';
import { createQuota, type Quota, type QuotaSettings } from './quota.ts';

export interface LimitSettings extends CapacityLimits {
  /** Largest body of a batch. */
  readonly batchLimitBytes: number;
  /** What a caller may send in a time; `undefined` = without limit. */
  readonly enqueueQuota: QuotaSettings | undefined;
  /** Queues there may be. */
  readonly maxQueues: number;
}

export interface Accepting {
  readonly accept: Accept;
  readonly quota: Quota | undefined;
  readonly batchLimitBytes: number;
}

/** @param client a connection of `openCommandConnection` */
export function createAccepting(
  client: Parameters<typeof createProducer>[0],
  registry: Registry,
  settings: LimitSettings,
): Accepting {
  const { batchLimitBytes, enqueueQuota, maxQueues } = settings;
  const limits = {
    queueNames: createQueueNames(client, maxQueues),
    capacity: createCapacity(client, settings),
  };
  return {
    accept: createAccept({
      registry,
      producer: createProducer(client),
      keyOwners: createKeyOwners(client),
      limits,
    }),
    quota: enqueueQuota && createQuota(enqueueQuota),
    batchLimitBytes,
  };
}
