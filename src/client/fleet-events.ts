// Follows what happens in queues, over breaks of the connection.

import { followEvents } from './follow-events.ts';
import type { OperationNews } from './operations.ts';
import type { ProgressView, TaskState } from './shapes.ts';
import type { Transport } from './transport.ts';
import type { WorkflowRow } from './workflow-shapes.ts';

export interface FollowOptions {
  /** A hundred at most; all queues of the key unless given. */
  readonly topics?: readonly `${'queue' | 'task' | 'operation' | 'workflow'}:${string}`[] | undefined;
  /** Moves to these alone (`removed` is one too), progress only with `running`, and no operations and workflows but those of `topics`. */
  readonly states?: readonly TaskState[] | undefined;
  /** That of an event: it begins with what has happened since. */
  readonly lastEventId?: string | undefined;
  readonly signal?: AbortSignal | undefined;
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

/** `reset`: some are missing, of a queue or (`slow`) of any; read the state anew. */
export type FleetEvent = {
  /** Where to go on behind it. */
  readonly lastEventId?: string | undefined;
} & (
  | { readonly name: 'state'; readonly data: OfTask & { readonly state: TaskState; readonly at: string } }
  | { readonly name: 'progress'; readonly data: OfTask & { readonly progress: ProgressView } }
  | { readonly name: 'operation'; readonly data: OperationNews }
  | { readonly name: 'workflow'; readonly data: WorkflowNews }
  | { readonly name: 'reset'; readonly data: { readonly reason: string; readonly queue?: string } }
);

export async function* followFleet(
  transport: Transport,
  { topics, states, lastEventId, signal }: FollowOptions,
): AsyncGenerator<FleetEvent, void, void> {
  const query = { topics: topics?.join(), states: states?.join() };
  for await (const event of followEvents(transport, { path: '/v1/events', query, signal }, lastEventId)) {
    yield { ...event, data: JSON.parse(event.data) } as FleetEvent;
  }
}
