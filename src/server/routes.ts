// All routes of the server. Each carries its operation: scope, parameters, answers and description.

import type { Deps } from './deps.ts';
import type { Route } from './operation.ts';
import { auditRoutes } from './routes/audit.ts';
import { batchRoutes } from './routes/batch.ts';
import { docsRoutes } from './routes/docs.ts';
import { enqueueRoutes, shortRoutes } from './routes/enqueue.ts';
import { errorRoutes } from './routes/errors.ts';
import { eventRoutes } from './routes/events.ts';
import { fleetRoutes } from './routes/fleet.ts';
import { healthRoutes } from './routes/health.ts';
import { metricsRoutes } from './routes/metrics.ts';
import { operationRoutes } from './routes/operations.ts';
import { plainDocsRoutes } from './routes/plain-docs.ts';
import { queueRoutes } from './routes/queues.ts';
import { scaleRoutes } from './routes/scale.ts';
import { scheduleRoutes } from './routes/schedules.ts';
import { seriesRoutes } from './routes/series.ts';
import { sessionRoutes } from './routes/session.ts';
import { systemRoutes } from './routes/system.ts';
import { taskRoutes } from './routes/tasks.ts';
import { typeRoutes } from './routes/types.ts';
import { uiRoutes } from './routes/ui.ts';
import { waitpointRoutes } from './routes/waitpoints.ts';
import { webhookRoutes } from './routes/webhooks.ts';
import { batchesRoutes } from './routes/batches.ts';
import { workflowRoutes } from './routes/workflows.ts';

export function createRoutes(deps: Deps): readonly Route[] {
  const routes: readonly Route[] = [
    ...healthRoutes(deps),
    ...metricsRoutes(deps),
    ...enqueueRoutes(deps),
    ...batchRoutes(deps),
    ...taskRoutes(deps),
    ...waitpointRoutes(deps),
    ...errorRoutes(deps),
    ...eventRoutes(deps),
    ...queueRoutes(deps),
    ...workflowRoutes(deps),
    ...batchesRoutes(deps),
    ...operationRoutes(deps),
    ...fleetRoutes(deps),
    ...typeRoutes(deps),
    ...scaleRoutes(deps),
    ...seriesRoutes(deps),
    ...scheduleRoutes(deps),
    ...webhookRoutes(deps),
    ...auditRoutes(deps),
    ...systemRoutes(deps),
    ...sessionRoutes(deps),
    ...docsRoutes(deps, () => routes),
    ...plainDocsRoutes(),
    ...uiRoutes(deps),
    // Last: its path is one segment of any name.
    ...shortRoutes(deps),
  ];
  return routes;
}
