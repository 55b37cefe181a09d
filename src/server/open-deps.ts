// Opens what the routes of a server are made with.

import { type LimitSettings, openAccept } from '../accept/open-accept.ts';
import type { Log } from '../log.ts';
import { createAudit } from '../store/audit.ts';
import type { openCommandConnection } from '../store/connection.ts';
import type { DurableProducers, DurableSettings } from '../store/durable.ts';
import { createErrorGroups } from '../store/error-groups.ts';
import { listTasks } from '../store/lister.ts';
import { readLedger } from '../store/ledger-reader.ts';
import { readLoad } from '../store/load-reader.ts';
import { readLostWorkers } from '../store/lost-workers.ts';
import { createOperations } from '../store/operations.ts';
import { createOperator } from '../store/operator.ts';
import { createReadiness } from '../store/readiness.ts';
import { createRedisFacts } from '../store/redis-facts.ts';
import { createSchedules } from '../store/schedules.ts';
import { createSeriesReader } from '../store/series.ts';
import { createSessions } from '../store/sessions.ts';
import { readTasksOfWorker } from '../store/tasks-of-worker.ts';
import { readTypeRuns } from '../store/type-runs.ts';
import { createWaitpoints } from '../store/waitpoints.ts';
import type { Registry } from '../tasks/registry.ts';
import { createAcceptBatch } from '../batches/accept-batch.ts';
import { createBatches } from '../store/batches.ts';
import { createWorkflows } from '../store/workflows.ts';
import { createAcceptWorkflow } from '../workflows/accept-workflow.ts';
import type { Upkeep } from '../upkeep/upkeep.ts';
import { createGuard } from '../webhooks/guard.ts';
import { type AccessSettings, createAccess } from './auth/access.ts';
import { SESSION_MS } from './auth/session.ts';
import type { Deps } from './deps.ts';
import { createQuota, type QuotaSettings } from './quota.ts';

export interface DepsSettings extends AccessSettings, LimitSettings, DurableSettings {
  readonly resultTtlMs: number;
  readonly retentionBytes: number;
  readonly maxEventStreams: number;
  readonly maxConnections: number;
  /** Largest body of one task, in bytes. */
  readonly bodyLimitBytes: number;
  /** Largest body of a batch, in bytes. */
  readonly batchLimitBytes: number;
  /** How many tasks a caller may send in a time; `undefined` = without limit. */
  readonly enqueueQuota: QuotaSettings | undefined;
  /** Hosts and networks to which webhooks may go although they are inside. */
  readonly webhookAllow: readonly string[];
}

/** What the server makes itself, because it also starts and stops it. */
type Made = Pick<
  Deps,
  'inspector' | 'endpoints' | 'waiters' | 'events' | 'metrics' | 'requests' | 'isStopping'
> & { readonly upkeep: Upkeep; readonly durable: DurableProducers };

/** @param command a connection of `openCommandConnection` */
export function openDeps(
  settings: DepsSettings,
  { registry, log }: { readonly registry: Registry; readonly log: Log },
  command: ReturnType<typeof openCommandConnection>,
  { upkeep, durable, ...made }: Made,
): Deps {
  const accept = openAccept(command, registry, settings, log, durable);
  const workflows = createWorkflows(command, upkeep.relay.soon);
  const batches = createBatches(command, upkeep.relay.soon);
  return {
    ...made,
    ...createAccess(settings, createSessions(command, SESSION_MS)),
    registry,
    log,
    accept,
    batches,
    acceptBatch: createAcceptBatch({ accept, store: batches }),
    workflows,
    acceptWorkflow: createAcceptWorkflow({ accept, store: workflows }),
    quota: settings.enqueueQuota && createQuota(settings.enqueueQuota),
    bodyLimitBytes: settings.bodyLimitBytes,
    batchLimitBytes: settings.batchLimitBytes,
    operator: createOperator(command, upkeep.relay.soon),
    operations: createOperations(command),
    operateSoon: upkeep.operations.soon,
    audit: createAudit(command),
    readLoad: (queue) => readLoad(command, queue),
    readLostWorkers: (queue) => readLostWorkers(command, queue),
    readTasksOfWorker: (queue, worker, most) => readTasksOfWorker(command, queue, worker, most),
    readLedger: (queue) => readLedger(command, queue),
    readSeries: createSeriesReader(command),
    readTypeRuns: (queues) => readTypeRuns(command, queues),
    redisFacts: createRedisFacts(command),
    limits: limitsOf(settings),
    list: (query) => listTasks(command, query),
    errors: createErrorGroups(command),
    schedules: createSchedules(command),
    waitpoints: createWaitpoints(command),
    guard: createGuard(settings.webhookAllow),
    askReadiness: createReadiness(command, log),
  };
}

function limitsOf(settings: DepsSettings): Readonly<Record<string, number>> {
  return {
    RESULT_TTL_MS: settings.resultTtlMs,
    RETENTION_BYTES: settings.retentionBytes,
    QUEUE_LIMIT: settings.queueLimit,
    QUEUE_LIMIT_BYTES: settings.queueLimitBytes,
    MEMORY_RESERVE_PERCENT: settings.memoryReservePercent,
    MAX_QUEUES: settings.maxQueues,
    BODY_LIMIT_BYTES: settings.bodyLimitBytes,
    BATCH_LIMIT_BYTES: settings.batchLimitBytes,
    MAX_EVENT_STREAMS: settings.maxEventStreams,
    MAX_CONNECTIONS: settings.maxConnections,
  };
}
