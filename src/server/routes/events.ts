// Server-sent events: what happens in queues, and to one task, as it happens.

import type { Context } from 'hono';
import type { ServerResponse } from 'node:http';
import * as v from 'valibot';
import { PopfleetError } from '../../protocol/errors.ts';
import { toJsonText } from '../../protocol/json-text.ts';
import { QUEUE_NAME } from '../../protocol/names.ts';
import { readTaskId } from '../../protocol/task-id.ts';
import { isTerminal, TASK_STATES } from '../../protocol/task-state.ts';
import type { EventPosition } from '../../store/event-entry.ts';
import type { TaskRecord } from '../../store/record.ts';
import { readTaskView } from '../../views/task-view.ts';
import { respond } from '../answer.ts';
import type { AppEnv } from '../app-env.ts';
import type { Deps } from '../deps.ts';
import { knows, visibleQueues } from '../caller.ts';
import type { Subscription } from '../events/client.ts';
import { END_ID, MOST_QUEUES, parseEventId } from '../events/id.ts';
import { findBatch } from '../find-batch.ts';
import { findTask, noOperation, noTask } from '../find-task.ts';
import { findWorkflow } from '../find-workflow.ts';
import { type Operation, readQuery, type Route, route } from '../operation.ts';

type Topics = Pick<Subscription, 'queues' | 'tasks' | 'named'>;

const MOST_TOPICS = 100;
const NAMED_BY_ID: ReadonlySet<string> = new Set(['task', 'operation', 'workflow', 'batch']);
const STATES: readonly string[] = [...TASK_STATES, 'removed'];

const lastEventId = v.optional(
  v.pipe(v.string(), v.description('For clients that cannot set the header `Last-Event-ID`, which wins.')),
);
const allEntries = {
  topics: v.optional(
    v.pipe(
      v.string(),
      v.check(
        (text) => text.split(',').length <= MOST_TOPICS && text.split(',').every(isTopic),
        `must be at most ${MOST_TOPICS} of queue:<name>, task:<id>, operation:<id>, workflow:<id> and batch:<id>, with commas between`,
      ),
      v.description(
        'Queues, tasks, operations, workflows and batches to follow, such as `queue:mail,task:<id>`; all queues by default.',
      ),
    ),
  ),
  states: v.optional(
    v.pipe(
      v.string(),
      v.check(
        (text) => text.split(',').every((word) => STATES.includes(word)),
        `must be some of ${STATES.join(', ')}, with commas between`,
      ),
      v.description(
        'Only moves to these states, such as `dead,cancelled`; progress only with `running`, and no operations, workflows or batches but those of `topics`.',
      ),
    ),
  ),
  lastEventId,
};
const taskEntries = { lastEventId };

const STREAM = {
  'text/event-stream': {
    type: 'string',
    description:
      'Events `snapshot`, `state`, `progress`, `operation`, `workflow`, `batch`, `reset` and `end`. The data of each is JSON; docs/protocol.md describes them.',
  },
};
const RESUMED = {
  'Last-Event-ID': 'The `id` of the last event that was read: events after it are sent first.',
};
const PROBLEMS: Operation['problems'] = ['invalid-query', 'invalid-header', 'not-found', 'overloaded'];

const ALL: Operation = {
  id: 'streamEvents',
  tag: 'events',
  summary: 'Follow what happens in queues',
  description: 'One stream for everything that a page shows. Each move is sent at least once.',
  scope: 'read',
  query: allEntries,
  headers: RESUMED,
  answers: { 200: { description: 'A stream that does not end by itself.', content: STREAM } },
  problems: PROBLEMS,
};
const ONE: Operation = {
  id: 'streamTaskEvents',
  tag: 'events',
  summary: 'Follow a task until it has ended',
  description:
    'Begins with the event `snapshot` and ends with the event `end`; the data of both is the task.',
  scope: 'read',
  query: taskEntries,
  headers: RESUMED,
  answers: {
    200: { description: 'A stream that ends with the task.', content: STREAM },
    204: { description: 'The event `end` was read: nothing more will come.' },
  },
  problems: PROBLEMS,
};

const STREAM_HEADERS = {
  'Content-Type': 'text/event-stream; charset=utf-8',
  'Cache-Control': 'no-store, no-transform',
  'X-Accel-Buffering': 'no',
  // The connection is not kept for a second request, so the end of the stream ends the socket.
  Connection: 'close',
};

/** `GET /v1/events` and `GET /v1/tasks/{id}/events`. */
export function eventRoutes(
  deps: Pick<Deps, 'registry' | 'inspector' | 'events' | 'operations' | 'workflows' | 'batches'>,
): readonly Route[] {
  const { inspector, events, registry } = deps;

  async function find(c: Context<AppEnv>, id: string): Promise<TaskRecord> {
    const record = await findTask(c, inspector, id);
    if (!record) throw noTask();
    return record;
  }

  async function stream(
    c: Context<AppEnv>,
    subscription: Omit<Subscription, 'cut' | 'isSignedIn'>,
  ): Promise<Response> {
    if (c.req.method === 'HEAD') return respond(c, 200, null, STREAM_HEADERS);
    // `undefined` when the app is called without a socket.
    const { outgoing } = (c.env ?? {}) as { readonly outgoing?: ServerResponse };
    const client = await events.open(
      { ...subscription, cut: () => outgoing?.destroy(), isSignedIn: c.get('isSignedIn') },
      async (record) => toJsonText(await readTaskView(record, inspector, registry, c.get('basePath'))),
      c.get('caller').key,
    );
    const { signal } = c.req.raw;
    if (signal.aborted) client.cut();
    else signal.addEventListener('abort', () => client.cut(), { once: true });
    return respond(c, 200, client.stream, STREAM_HEADERS);
  }

  /** @throws PopfleetError `not-found` when a topic is not visible to this caller */
  async function readTopics(c: Context<AppEnv>, text: string): Promise<Topics> {
    const topics = text.split(',').map((topic) => topic.split(':') as [string, string]);
    const queues = new Set(topics.filter(([kind]) => kind === 'queue').map(([, name]) => name));
    // A queue without tasks yet may come into being later.
    if ([...queues].some((queue) => !knows(c.get('caller'), queue))) {
      throw new PopfleetError('not-found', 'There is no such queue. GET /v1/queues lists them.');
    }
    const idsOf = (wanted: string): string[] =>
      topics.filter(([kind]) => kind === wanted).map(([, id]) => id.toLowerCase());
    const records: TaskRecord[] = [];
    // One after the other, because each task is searched in every queue.
    for (const id of idsOf('task')) records.push(await find(c, id));
    const single = records.filter(({ queue }) => !queues.has(queue));
    const tasks = new Map(single.map(({ id, queue }) => [id, queue]));
    const named = await findOperations(deps, c, idsOf('operation'));
    for (const id of idsOf('workflow')) named.set(id, (await findWorkflow(deps, c, id)).plan.home);
    for (const id of idsOf('batch')) named.set(id, (await findBatch(deps, c, id)).plan.home);
    return { queues, tasks, named };
  }

  async function allQueues(c: Context<AppEnv>): Promise<Topics> {
    const queues = new Set(await visibleQueues(inspector, c.get('caller')));
    if (queues.size <= MOST_QUEUES) return { queues, tasks: new Map(), named: new Map() };
    throw new PopfleetError(
      'invalid-query',
      `There are ${queues.size} queues: name those you want in \`topics\`.`,
    );
  }

  return [
    route('GET', '/v1/events', ALL, async (c) => {
      const { topics, states, lastEventId: given } = readQuery(c, allEntries);
      const from = resumeFrom(c, given);
      return stream(c, {
        ...(topics === undefined ? await allQueues(c) : await readTopics(c, topics)),
        states: states === undefined ? undefined : new Set(states.split(',')),
        later: topics === undefined ? (queue) => knows(c.get('caller'), queue) : undefined,
        from,
        only: undefined,
      });
    }),
    route('GET', '/v1/tasks/:id/events', ONE, async (c) => {
      const given = lastEventIdOf(c, readQuery(c, taskEntries).lastEventId);
      const record = await find(c, c.req.param('id') ?? '');
      if (given === END_ID && isTerminal(record.state))
        return respond(c, 204, null, { 'Cache-Control': 'no-store' });
      const from = given === END_ID ? undefined : resumeFrom(c, given);
      return stream(c, {
        queues: new Set(),
        tasks: new Map([[record.id, record.queue]]),
        named: new Map(),
        states: undefined,
        later: undefined,
        // The id of another stream has no position for this task.
        from: from?.has(record.queue) ? from : undefined,
        only: record.id,
      });
    }),
  ];
}

/** @returns the queue of each @throws PopfleetError `not-found` */
async function findOperations(
  { inspector, operations }: Pick<Deps, 'inspector' | 'operations'>,
  c: Context<AppEnv>,
  ids: readonly string[],
): Promise<Map<string, string>> {
  const queues = ids.length === 0 ? [] : await visibleQueues(inspector, c.get('caller'));
  const found = new Map<string, string>();
  for (const id of ids) {
    const record = await operations.find(id, queues);
    if (!record) throw noOperation();
    found.set(id, record.filter.queue);
  }
  return found;
}

/** @throws PopfleetError `invalid-header` */
function resumeFrom(
  c: Context<AppEnv>,
  query: string | undefined,
): ReadonlyMap<string, EventPosition> | undefined {
  const given = lastEventIdOf(c, query);
  if (given === undefined) return undefined;
  const positions = parseEventId(given);
  if (positions) return positions;
  throw new PopfleetError('invalid-header', '`Last-Event-ID` must be the `id` of an event of this stream.');
}

function lastEventIdOf(c: Context<AppEnv>, query: string | undefined): string | undefined {
  const given = c.req.header('last-event-id') ?? query;
  return given === '' ? undefined : given;
}

function isTopic(text: string): boolean {
  const [kind, name = '', ...rest] = text.split(':');
  if (rest.length > 0) return false;
  if (kind === 'queue') return QUEUE_NAME.test(name);
  return NAMED_BY_ID.has(kind ?? '') && readTaskId(name) !== undefined;
}
