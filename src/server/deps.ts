// What the routes of a server are made with.

import type { Accept } from '../accept/accept.ts';
import type { Log } from '../log.ts';
import type { ProcessMetrics } from '../metrics/process-metrics.ts';
import type { RequestMetrics } from '../metrics/request-metrics.ts';
import type { Audit } from '../store/audit.ts';
import type { ErrorGroups } from '../store/error-groups.ts';
import type { Inspector } from '../store/inspector.ts';
import type { Page, PageQuery } from '../store/lister.ts';
import type { LedgerReading } from '../store/ledger-reader.ts';
import type { LoadReading } from '../store/load-reader.ts';
import type { LostWorker } from '../store/lost-workers.ts';
import type { TaskRecord } from '../store/record.ts';
import type { Operations } from '../store/operations.ts';
import type { Operator } from '../store/operator.ts';
import type { AskReadiness } from '../store/readiness.ts';
import type { ReadRedisFacts } from '../store/redis-facts.ts';
import type { Schedules } from '../store/schedules.ts';
import type { ReadSeries } from '../store/series.ts';
import type { TypeRunsReading } from '../store/type-runs.ts';
import type { Waitpoints } from '../store/waitpoints.ts';
import type { Waiters } from '../store/waiters.ts';
import type { WebhookEndpoints } from '../store/webhook-endpoints.ts';
import type { AcceptBatch } from '../batches/accept-batch.ts';
import type { Batches } from '../store/batches.ts';
import type { Workflows } from '../store/workflows.ts';
import type { AcceptWorkflow } from '../workflows/accept-workflow.ts';
import type { Upkeep } from '../upkeep/upkeep.ts';
import type { Registry } from '../tasks/registry.ts';
import type { Guard } from '../webhooks/guard.ts';
import type { AccessDeps } from './auth/access.ts';
import type { EventStreams } from './events/streams.ts';
import type { Quota } from './quota.ts';

export interface Deps extends AccessDeps {
  readonly registry: Registry;
  readonly accept: Accept;
  /** How many tasks a caller may send in a time; `undefined` = without limit. */
  readonly quota: Quota | undefined;
  /** Largest body of one task, in bytes. */
  readonly bodyLimitBytes: number;
  readonly batchLimitBytes: number;
  readonly inspector: Inspector;
  readonly operator: Operator;
  readonly audit: Audit;
  readonly operations: Operations;
  /** Goes on with the operations of a place. */
  readonly operateSoon: Upkeep['operations']['soon'];
  readonly batches: Batches;
  readonly acceptBatch: AcceptBatch;
  readonly workflows: Workflows;
  readonly acceptWorkflow: AcceptWorkflow;
  readonly readLoad: (queue: string) => Promise<LoadReading>;
  readonly readLostWorkers: (queue: string) => Promise<readonly LostWorker[]>;
  /** What a worker runs in a queue, first what it claimed first. */
  readonly readTasksOfWorker: (queue: string, worker: string, most: number) => Promise<readonly TaskRecord[]>;
  readonly readLedger: (queue: string) => Promise<LedgerReading>;
  readonly readSeries: ReadSeries;
  readonly readTypeRuns: (queues: readonly string[]) => Promise<TypeRunsReading>;
  readonly redisFacts: ReadRedisFacts;
  /** Settings that limit what this server takes and keeps, by their variables. */
  readonly limits: Readonly<Record<string, number>>;
  readonly list: (query: PageQuery) => Promise<Page>;
  readonly errors: ErrorGroups;
  readonly schedules: Schedules;
  readonly endpoints: WebhookEndpoints;
  /** Where webhooks may go. */
  readonly guard: Pick<Guard, 'faultOf'>;
  readonly waitpoints: Waitpoints;
  readonly waiters: Waiters;
  readonly events: EventStreams;
  readonly metrics: ProcessMetrics;
  readonly requests: RequestMetrics;
  readonly log: Log;
  /** Checks that Redis can do what a server needs. */
  readonly askReadiness: AskReadiness;
  /** True once the server drains. */
  readonly isStopping: () => boolean;
}
