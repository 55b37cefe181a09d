// What a server says of the webhooks that it delivers.

import type { ProcessMetrics } from './process-metrics.ts';
import { createCounters } from './histogram.ts';

/** `delivered`: the receiver took the message; `failed`: it did not, or could not be reached; `unsent`: no call was made, for want of a place, or of Redis. */
export type DeliveryResult = 'delivered' | 'failed' | 'unsent';

/** @returns is told how each attempt went */
export function createDeliveryMetrics(
  metrics: Pick<ProcessMetrics, 'add'>,
): (result: DeliveryResult) => void {
  const attempts = createCounters(
    'popfleet_webhook_deliveries',
    'Attempts to deliver a webhook, by how they went',
    ['result'],
  );
  metrics.add(() => [attempts.collect()]);
  return (result) => attempts.add(1, result);
}
