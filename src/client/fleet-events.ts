// Follows what happens in queues, or to one task, over breaks of the connection.

import type { BatchView } from './batches.ts';
import { followEvents } from './follow-events.ts';
import type { OperationNews } from './operations.ts';
import type { ProgressView, Resumable, TaskEvent, TaskState } from './shapes.ts';
import type { ApiRequest, CallOptions, Transport } from './transport.ts';
import type { WorkflowRow } from './workflow-shapes.ts';

/** Where a stream of events begins. */
export interface ResumeOptions extends CallOptions {
  /** That of an event: it begins with what has happened since. */
  readonly lastEventId?: string | undefined;
}

export interface FollowOptions extends ResumeOptions {
  /** A hundred at most; all queues of the key unless given. */
  readonly topics?:
    | readonly `${'queue' | 'task' | 'operation' | 'workflow' | 'batch'}:${string}`[]
    | undefined;
  /** Moves to these alone (`removed` is one too), progress only with `running`, and no operations, workflows and batches but those of `topics`. */
  readonly states?: readonly TaskState[] | undefined;
}

interface OfTask {
  readonly queue: string;
  /** Its id. */
  readonly task: string;
}

interface WorkflowNews extends Pick<WorkflowRow, 'queue' | 'state' | 'generation'> {
  /** Its id. */
  readonly workflow: string;
  readonly at: string;
}

/** All tasks of a closed batch have ended; as the first one of a topic also how it is at that time. */
interface BatchNews extends Pick<BatchView, 'queue' | 'state'> {
  /** Its id. */
  readonly batch: string;
  readonly at: string;
}

/** `reset`: some are missing, of a queue or (`slow`) of any; read the state anew. */
export type FleetEvent = Resumable &
  (
    | { readonly name: 'state'; readonly data: OfTask & { readonly state: TaskState; readonly at: string } }
    | { readonly name: 'progress'; readonly data: OfTask & { readonly progress: ProgressView } }
    | { readonly name: 'operation'; readonly data: OperationNews }
    | { readonly name: 'workflow'; readonly data: WorkflowNews }
    | { readonly name: 'batch'; readonly data: BatchNews }
    | { readonly name: 'reset'; readonly data: { readonly reason: string; readonly queue?: string } }
  );

export function followFleet(
  transport: Transport,
  { topics, states, ...options }: FollowOptions,
): AsyncGenerator<FleetEvent, void, void> {
  const query = { topics: topics?.join(), states: states?.join() };
  return readEvents<FleetEvent>(transport, { path: '/v1/events', query }, options);
}

/** @param path of the task */
export function followTask(
  transport: Transport,
  path: string,
  options: ResumeOptions,
): AsyncGenerator<TaskEvent, void, void> {
  return readEvents<TaskEvent>(transport, { path: `${path}/events` }, options);
}

async function* readEvents<Event>(
  transport: Transport,
  request: ApiRequest,
  { lastEventId, signal }: ResumeOptions,
): AsyncGenerator<Event, void, void> {
  for await (const event of followEvents(transport, { ...request, signal }, lastEventId)) {
    yield { ...event, data: JSON.parse(event.data) } as Event;
  }
}
