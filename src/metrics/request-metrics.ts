// What a server says of the requests that it answers.

import type { Family } from './family.ts';
import { createHistograms, type Histograms, REQUEST_SECONDS } from './histogram.ts';

/** Route of requests that no route has taken: refused before, or nothing is there. */
const NO_ROUTE = 'none';

export interface RequestMetrics {
  /** @param route in the form of its pattern: paths would be too many */
  answered(method: string, route: string | undefined, status: number, ms: number): void;
  collect(): readonly Family[];
}

/** @param open how many requests stay open now */
export function createRequestMetrics(open: {
  readonly waiters: () => number;
  readonly streams: () => number;
}): RequestMetrics {
  const durations: Histograms = createHistograms(
    'popfleet_http_request_duration_seconds',
    'Time until an answer begins, long polls included',
    ['method', 'route', 'status'],
    REQUEST_SECONDS,
  );
  const gauge = (name: string, help: string, value: number): Family => ({
    name,
    type: 'gauge',
    help,
    samples: [{ labels: [], value }],
  });
  return {
    answered: (method, route = NO_ROUTE, status, ms) =>
      durations.observe(ms / 1_000, method, route, String(status)),
    collect: () => [
      durations.collect(),
      gauge('popfleet_http_waiters', 'Long polls that wait for the end of a task', open.waiters()),
      gauge('popfleet_sse_streams', 'Event streams that are open', open.streams()),
    ],
  };
}
