// Acceptance over one connection, as a role opens it.

import type { Log } from '../log.ts';
import { type CapacityLimits, createCapacity } from '../store/capacity.ts';
import type { DurableProducers } from '../store/durable.ts';
import { createKeyOwners } from '../store/key-owners.ts';
import { createProducer } from '../store/producer.ts';
import { createQueueNames } from '../store/queue-names.ts';
import type { Registry } from '../tasks/registry.ts';
import { type Accept, createAccept } from './accept.ts';
import { traced } from './traced-accept.ts';

export interface LimitSettings extends CapacityLimits {
  /** Most queues that may exist. */
  readonly maxQueues: number;
}

/**
 * @param client a connection of `openCommandConnection`
 * @param limits without them every task is admitted
 * @param log gets what the code of a definition has thrown
 * @param durable without them levels of tasks are not looked at
 */
export function openAccept(
  client: Parameters<typeof createProducer>[0],
  registry: Registry,
  limits?: LimitSettings,
  log?: Log,
  durable?: DurableProducers,
): Accept {
  const accept = createAccept({
    registry,
    producer: createProducer(client),
    keyOwners: createKeyOwners(client),
    ...(log && { log }),
    ...(durable && { durable }),
    ...(limits && {
      limits: {
        queueNames: createQueueNames(client, limits.maxQueues),
        capacity: createCapacity(client, limits),
      },
    }),
  });
  return traced(accept);
}
