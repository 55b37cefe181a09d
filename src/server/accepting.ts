// What the routes that send tasks need: the ways into Redis, and the limits in front of them.

import { type Capacity, createCapacity } from '../store/capacity.ts';
import { createIntake, type Intake } from '../store/intake.ts';
import { createKeyOwners, type KeyOwners } from '../store/key-owners.ts';
import { createQueueNames, type QueueNames } from '../store/queue-names.ts';
import { createProducer, type Producer } from '../store/producer.ts';
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
  readonly intake: Intake;
  readonly producer: Producer;
  readonly keyOwners: KeyOwners;
  readonly capacity: Capacity;
  readonly queueNames: QueueNames;
  readonly quota: Quota | undefined;
  readonly batchLimitBytes: number;
}

export const DEFAULT_BATCH_LIMIT_BYTES = 16 * 1_048_576;
export const DEFAULT_MEMORY_RESERVE_PERCENT = 10;
export const DEFAULT_MAX_QUEUES = 1_000;

/** @param client a connection of `openCommandConnection` */
export function createAccepting(
  client: Parameters<typeof createProducer>[0],
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
  const producer = createProducer(client);
  return {
    intake: createIntake(producer),
    producer,
    keyOwners: createKeyOwners(client),
    queueNames: createQueueNames(client, maxQueues),
    capacity: createCapacity(client, { queueLimit, queueLimitBytes, memoryReservePercent }),
    quota: enqueueQuota && createQuota(enqueueQuota),
    batchLimitBytes,
  };
}
