// All event streams of this server: their clients with the queues they follow, their limit, and their heartbeat.

import type { Log } from '../../log.ts';
import { delay } from '../../lifecycle.ts';
import { PopfleetError } from '../../protocol/errors.ts';
import { type News, STREAM_START } from '../../store/event-entry.ts';
import type { EventHub } from '../../store/event-hub.ts';
import type { EventLog } from '../../store/event-log.ts';
import type { Inspector } from '../../store/inspector.ts';
import type { Operations } from '../../store/operations.ts';
import type { TaskRecord } from '../../store/record.ts';
import { type Batches, stateOfBatch } from '../../store/batches.ts';
import type { Workflows } from '../../store/workflows.ts';
import { EventClient, type Subscription } from './client.ts';
import { MOST_QUEUES } from './id.ts';
import { createAdmission } from '../admission.ts';
import { createEventIndex } from './event-index.ts';
import { createProgressRounds } from './progress-rounds.ts';
import { createTaskLooks } from './task-looks.ts';

export interface EventStreamDeps {
  readonly hub: EventHub;
  readonly eventLog: EventLog;
  readonly inspector: Inspector;
  readonly operations: Pick<Operations, 'find'>;
  readonly workflows: Pick<Workflows, 'find'>;
  readonly batches: Pick<Batches, 'find'>;
  readonly log: Log;
  /** Most streams at the same time. */
  readonly most: number;
  readonly heartbeatMs: number;
}

export interface EventStreams {
  /**
   * @param view JSON of a task, on one line
   * @param key id of the caller's API key, if it has one
   * @throws PopfleetError `overloaded`, `quota-exceeded`, `shutting-down`, `redis-unavailable`
   */
  open(
    subscription: Subscription,
    view: (record: TaskRecord) => Promise<string>,
    key: string | undefined,
  ): Promise<EventClient>;
  /** Streams that are open, or being opened. */
  count(): number;
  /** Closes all streams, and cuts those that are not closed within a second. */
  stop(): Promise<void>;
}

/** What is held for a client. */
interface ClientState {
  readonly watched: Set<string>;
  readonly joining: Set<string>;
  readonly leave: () => void;
}

const CLOSE_WITHIN_MS = 1_000;

export function createEventStreams(deps: EventStreamDeps): EventStreams {
  const { hub, eventLog, inspector, log } = deps;
  const clients = new Map<EventClient, ClientState>();
  const index = createEventIndex<EventClient>();
  const rounds = createProgressRounds(eventLog);
  const look = createTaskLooks(eventLog);
  const admission = createAdmission(deps.most, 'event streams');
  let heartbeat: NodeJS.Timeout | undefined;
  const stopping = new AbortController();
  let onLast = (): void => undefined;

  hub.listen({
    onEntries(queue, entries) {
      for (const client of index.inQueue(queue)) {
        if (isWhole(client.subscription, queue)) client.push(queue, entries);
      }
      for (const [client, mine] of index.shareByTask(entries)) client.push(queue, mine);
    },
    onGap(queue) {
      for (const client of index.inQueue(queue)) client.gap(queue);
    },
  });

  function release(client: EventClient): void {
    const state = clients.get(client);
    for (const queue of state?.watched ?? []) {
      index.removeQueue(queue, client);
      hub.unwatch(queue);
    }
    for (const id of idsOf(client.subscription)) index.removeTask(id, client);
    clients.delete(client);
    state?.leave();
    if (clients.size > 0) return;
    clearInterval(heartbeat);
    heartbeat = undefined;
    onLast();
  }

  function beat(): void {
    for (const client of clients.keys()) client.beat();
    discover({ clients, index, hub }, inspector).catch(() => undefined); // Redis is away: the next heartbeat tries again.
  }

  return {
    async open(subscription, view, key) {
      if (stopping.signal.aborted) {
        throw new PopfleetError('shutting-down', 'This server stops. Ask again.', { retryAfterSeconds: 1 });
      }
      const leave = admission.enter(key);
      const queues = queuesOf(subscription);
      await watchAll(hub, queues).catch((error: unknown) => {
        leave();
        throw error;
      });
      const client = new EventClient(subscription, {
        hub,
        eventLog,
        look: (queue, id) => look(queue, id, view),
        findNews: (queue, id) => findNews(deps, queue, id),
        log,
        onProgress: rounds.want,
        onOver: release,
      });
      clients.set(client, { watched: queues, joining: new Set(), leave });
      for (const id of idsOf(subscription)) index.addTask(id, client);
      heartbeat ??= setInterval(beat, deps.heartbeatMs).unref();
      for (const queue of queues) index.addQueue(queue, client);
      for (const queue of queues) client.follow(queue, startOf(subscription, queue));
      if (stopping.signal.aborted) client.close();
      return client;
    },

    count: admission.count,

    async stop() {
      stopping.abort();
      rounds.stop();
      const last = new AbortController();
      onLast = () => last.abort();
      for (const client of clients.keys()) client.close();
      if (clients.size > 0) await delay(CLOSE_WITHIN_MS, last.signal);
      for (const client of clients.keys()) client.cut();
    },
  };
}

interface DiscoverDeps {
  readonly clients: ReadonlyMap<EventClient, ClientState>;
  readonly index: ReturnType<typeof createEventIndex<EventClient>>;
  readonly hub: EventHub;
}

/** Lets clients follow the queues that have come into being. */
async function discover(deps: DiscoverDeps, inspector: Inspector): Promise<void> {
  const openEnded = [...deps.clients.keys()].filter(({ subscription }) => subscription.later);
  if (openEnded.length === 0) return;
  const names = await inspector.queues();
  await Promise.all(openEnded.flatMap((client) => names.map((name) => join(deps, client, name))));
}

/** The client gets the new queue from its first entry on. */
async function join(
  { clients, index, hub }: DiscoverDeps,
  client: EventClient,
  queue: string,
): Promise<void> {
  const state = clients.get(client);
  if (!state || state.watched.has(queue) || state.joining.has(queue) || !client.subscription.later?.(queue))
    return;
  if (state.watched.size + state.joining.size >= MOST_QUEUES) return;
  state.joining.add(queue);
  try {
    await hub.watch(queue);
  } finally {
    state.joining.delete(queue);
  }
  if (!clients.has(client)) {
    hub.unwatch(queue);
    return;
  }
  state.watched.add(queue);
  index.addQueue(queue, client);
  client.follow(queue, STREAM_START);
}

async function findNews(
  { operations, workflows, batches }: Pick<EventStreamDeps, 'operations' | 'workflows' | 'batches'>,
  queue: string,
  id: string,
): Promise<News | undefined> {
  const record = await operations.find(id, [queue]);
  if (record) return { ...record, kind: 'operation', queue };
  const workflow = await workflows.find(id, [queue]);
  if (workflow) return { ...workflow.progress, kind: 'workflow', queue, id };
  const batch = await batches.find(id, [queue]);
  return batch && { kind: 'batch', queue, id, state: stateOfBatch(batch.progress) };
}

/** Those that it has to follow. */
function queuesOf({ queues, tasks, named }: Subscription): Set<string> {
  return new Set([...queues, ...tasks.values(), ...named.values()]);
}

/** Of what it names. */
function idsOf({ tasks, named }: Subscription): string[] {
  return [...tasks.keys(), ...named.keys()];
}

/** Whether the client gets all entries of the queue; else only those of its tasks. */
function isWhole({ queues, later }: Subscription, queue: string): boolean {
  return later !== undefined || queues.has(queue);
}

/** A client that came back gets a queue that is new to it from its first entry on, unless it has named its queues. */
function startOf({ from, later }: Subscription, queue: string): ReturnType<EventHub['position']> {
  return from && (from.get(queue) ?? (later ? STREAM_START : undefined));
}

/** Watches all of the queues, or none when one of them fails. */
async function watchAll(hub: EventHub, queues: ReadonlySet<string>): Promise<void> {
  const names = [...queues];
  const outcomes = await Promise.allSettled(names.map((queue) => hub.watch(queue)));
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (!failed) return;
  for (const [at, { status }] of outcomes.entries()) {
    const name = names[at];
    if (status === 'fulfilled' && name !== undefined) hub.unwatch(name);
  }
  throw failed.reason;
}
