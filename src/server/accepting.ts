// What the routes that send tasks need: the way in, and the limits in front of it.

import { type Accept, createAccept } from '../accept/accept.ts';
import { createCapacity } from '../store/capacity.ts';
import { createKeyOwners } from '../store/key-owners.ts';
import { createProducer } from '../store/producer.ts';
import { createQueueNames } from '../store/queue-names.ts';
import type { Registry } from '../tasks/registry.ts';
import { createQuota, type Quota, type QuotaSettings } from './quota.ts';

export interface LimitSettings {
  /** Largest body of a batch. */
  readonly batchLimitBytes?: number;
  /** What a caller may send in a time; `undefined` = without limit. */
  readonly enqueueQuota?: QuotaSettings | undefined;
  /** Tasks that may wait in one queue; 0 = without limit. */
  readonly queueLimit?: number;
  /** Bytes that the inputs of the unfinished tasks of one queue may take, about; 0 = without limit. */
  readonly queueLimitBytes?: number;
  /** Of Redis' `maxmemory`, what new tasks may not touch. */
  readonly memoryReservePercent?: number;
  /** Queues there may be. */
  readonly maxQueues?: number;
}

export interface Accepting {
  readonly accept: Accept;
  readonly quota: Quota | undefined;
  readonly batchLimitBytes: number;
}

export const DEFAULT_BATCH_LIMIT_BYTES = 16 * 1_048_576;
export const DEFAULT_MEMORY_RESERVE_PERCENT = 10;
export const DEFAULT_MAX_QUEUES = 1_000;

/** @param client a connection of `openCommandConnection` */
export function createAccepting(
  client: Parameters<typeof createProducer>[0],
  registry: Registry,
  settings: LimitSettings,
): Accepting {
  const {
    batchLimitBytes = DEFAULT_BATCH_LIMIT_BYTES,
    enqueueQuota,
    queueLimit = 0,
    queueLimitBytes = 0,
    memoryReservePercent = DEFAULT_MEMORY_RESERVE_PERCENT,
    maxQueues = DEFAULT_MAX_QUEUES,
  } = settings;
  const limits = {
    queueNames: createQueueNames(client, maxQueues),
    capacity: createCapacity(client, { queueLimit, queueLimitBytes, memoryReservePercent }),
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
