// The package export `popfleet/client`: for programs and pages that send tasks over HTTP.

export type { AddedToBatch, BatchThen, BatchView, NewBatch } from './batches.ts';
export { ApiError, type Fault, TaskCancelled, TaskFailed, WaitTimeout } from './api-error.ts';
export type { FleetEvent, FollowOptions } from './fleet-events.ts';
export type {
  AuditEntry,
  LedgerView,
  LostWorkerView,
  ScaleView,
  SeriesView,
  SystemView,
  TypeRunsView,
} from './fleet-shapes.ts';
export type { ListOptions } from './list-tasks.ts';
export { Popfleet } from './popfleet.ts';
export type { BatchFormat, BatchOptions, SentItem } from './send-batches.ts';
export type {
  CheckedSchedule,
  ScheduledStep,
  ScheduledWorkflow,
  ScheduleInput,
  ScheduleReceipt,
  ScheduleView,
} from './schedule-shapes.ts';
export type {
  BackoffOption,
  ErrorCause,
  ErrorGroupView,
  Explanation,
  OperationFilter,
  OperationRequest,
  OperationView,
  QueueView,
  Receipt,
  RunningTask,
  TaskError,
  TaskEvent,
  TaskOptions,
  TaskRow,
  TaskState,
  TaskView,
  TypeView,
  WebhookOption,
  WorkerTasksView,
  WorkerView,
} from './shapes.ts';
export type { ManyTask, Received } from './task-types.ts';
export type {
  WebhookAttempt,
  WebhookEndpoint,
  WebhookRequest,
  WebhookSecret,
  WebhookView,
} from './webhooks.ts';
export type { WorkflowRow, WorkflowStep, WorkflowView } from './workflow-shapes.ts';
export type { Reference, Step, WithReferences, WorkflowRequest } from './workflows.ts';
export type { TransportSettings as ClientSettings } from './transport.ts';
