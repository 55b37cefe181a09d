// Metrics for Prometheus.

import type { ProcessMetrics } from '../../metrics/process-metrics.ts';
import { CONTENT_TYPES, METRIC_FORMATS, writeFamilies } from '../../metrics/family.ts';
import { respond } from '../answer.ts';
import { knows } from '../caller.ts';
import { type Route, route } from '../operation.ts';
import { preferredMedia } from '../preferred-media.ts';

const TEXT = { type: 'string', description: 'Lines of `name{label="value"} number`.' };

/** `GET /metrics`. */
export function metricsRoutes({
  metrics,
}: {
  readonly metrics: Pick<ProcessMetrics, 'collect'>;
}): readonly Route[] {
  return [
    route(
      'GET',
      '/metrics',
      {
        id: 'getMetrics',
        tag: 'service',
        summary: 'Metrics of the queues and of this server, for Prometheus',
        description:
          'In the text format 0.0.4, or in OpenMetrics 1.0.0 as `Accept` prefers. While Redis is away those of the queues are missing.',
        scope: 'read',
        answers: {
          200: {
            description: 'As they are now; numbers of queues are at most a second old.',
            content: { [METRIC_FORMATS[0]]: TEXT, [METRIC_FORMATS[1]]: TEXT },
          },
        },
      },
      async (c) => {
        const caller = c.get('caller');
        const format = preferredMedia(c.req.header('accept'), METRIC_FORMATS);
        const families = await metrics.collect((queue) => knows(caller, queue));
        const headers = { 'Content-Type': CONTENT_TYPES[format], Vary: 'Accept' };
        return respond(c, 200, writeFamilies(families, format), headers);
      },
    ),
  ];
}
