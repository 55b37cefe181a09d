// All event streams of this server: who follows what, how many there are, and their heartbeat.

import type { Log } from '../../log.ts';
import { delay } from '../../lifecycle.ts';
import { PopfleetError } from '../../protocol/errors.ts';
import { STREAM_START } from '../../store/event-entry.ts';
import type { EventHub } from '../../store/event-hub.ts';
import type { EventLog } from '../../store/event-log.ts';
import type { Inspector } from '../../store/inspector.ts';
import type { TaskRecord } from '../../store/record.ts';
import { EventClient, type Subscription } from './client.ts';
import { MOST_QUEUES } from './id.ts';
import { createAdmission } from '../admission.ts';
import { createEventIndex } from './followers.ts';
import { createProgressRounds } from './progress-rounds.ts';
import { createTaskLooks } from './task-looks.ts';

export interface EventStreamDeps {
  readonly hub: EventHub;
  readonly eventLog: EventLog;
  readonly inspector: Inspector;
  readonly log: Log;
  /** Streams at once. */
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
  /** How many are open, or being opened. */
  count(): number;
  /** Says goodbye to everyone; who does not take it is cut. */
  stop(): Promise<void>;
}

/** What a client has. */
interface Seat {
  readonly watched: Set<string>;
  readonly joining: Set<string>;
  readonly leave: () => void;
}

const GOODBYE_WITHIN_MS = 1_000;

export function createEventStreams(parts: EventStreamDeps): EventStreams {
  const { hub, eventLog, inspector, log } = parts;
  const clients = new Map<EventClient, Seat>();
  const index = createEventIndex<EventClient>();
  const rounds = createProgressRounds(eventLog);
  const look = createTaskLooks(eventLog);
  const admission = createAdmission(parts.most, 'event streams');
  let heartbeat: NodeJS.Timeout | undefined;
  const stopping = new AbortController();
  let onLast = (): void => undefined;

  hub.listen({
    onEntries(queue, entries) {
      for (const client of index.inQueue(queue)) {
        if (isWhole(client.subscription, queue)) client.hear(queue, entries);
      }
      for (const [client, mine] of index.shareByTask(entries)) client.hear(queue, mine);
    },
    onGap(queue) {
      for (const client of index.inQueue(queue)) client.gap(queue);
    },
  });

  function release(client: EventClient): void {
    const seat = clients.get(client);
    for (const queue of seat?.watched ?? []) {
      index.removeQueue(queue, client);
      hub.unwatch(queue);
    }
    for (const id of client.subscription.tasks.keys()) index.removeTask(id, client);
    clients.delete(client);
    seat?.leave();
    if (clients.size > 0) return;
    clearInterval(heartbeat);
    heartbeat = undefined;
    onLast();
  }

  function beat(): void {
    for (const client of clients.keys()) client.beat();
    discover({ clients, index, hub }, inspector).catch(() => undefined); // Redis is away: the next heartbeat asks again.
  }

  return {
    async open(subscription, view, key) {
      if (stopping.signal.aborted) {
        throw new PopfleetError('shutting-down', 'This server stops. Ask again.', { retryAfterSeconds: 1 });
      }
      const leave = admission.enter(key);
      const queues = new Set([...subscription.queues, ...subscription.tasks.values()]);
      await watchAll(hub, queues).catch((error: unknown) => {
        leave();
        throw error;
      });
      const client = new EventClient(subscription, {
        hub,
        eventLog,
        look: (queue, id) => look(queue, id, view),
        log,
        onProgress: rounds.want,
        onOver: release,
      });
      clients.set(client, { watched: queues, joining: new Set(), leave });
      for (const id of subscription.tasks.keys()) index.addTask(id, client);
      heartbeat ??= setInterval(beat, parts.heartbeatMs).unref();
      for (const queue of queues) {
        index.addQueue(queue, client);
        client.follow(queue, startOf(subscription, queue));
      }
      if (stopping.signal.aborted) client.bye();
      return client;
    },

    count: admission.count,

    async stop() {
      stopping.abort();
      rounds.stop();
      const last = new AbortController();
      onLast = () => last.abort();
      for (const client of clients.keys()) client.bye();
      if (clients.size > 0) await delay(GOODBYE_WITHIN_MS, last.signal);
      for (const client of clients.keys()) client.cut();
    },
  };
}

interface Room {
  readonly clients: ReadonlyMap<EventClient, Seat>;
  readonly index: ReturnType<typeof createEventIndex<EventClient>>;
  readonly hub: EventHub;
}

/** Adds clients to queues that have come into being. */
async function discover(room: Room, inspector: Inspector): Promise<void> {
  const curious = [...room.clients.keys()].filter(({ subscription }) => subscription.later);
  if (curious.length === 0) return;
  const names = await inspector.queues();
  await Promise.all(curious.flatMap((client) => names.map((name) => join(room, client, name))));
}

/** Nothing that happened in a new queue is left out. */
async function join({ clients, index, hub }: Room, client: EventClient, queue: string): Promise<void> {
  const seat = clients.get(client);
  if (!seat || seat.watched.has(queue) || seat.joining.has(queue) || !client.subscription.later?.(queue))
    return;
  if (seat.watched.size + seat.joining.size >= MOST_QUEUES) return;
  seat.joining.add(queue);
  try {
    await hub.watch(queue);
  } finally {
    seat.joining.delete(queue);
  }
  if (!clients.has(client)) {
    hub.unwatch(queue);
    return;
  }
  seat.watched.add(queue);
  index.addQueue(queue, client);
  client.follow(queue, STREAM_START);
}

/** What of a queue is told to whom is decided by the queue, or task by task. */
function isWhole({ queues, later }: Subscription, queue: string): boolean {
  return later !== undefined || queues.has(queue);
}

/** A client that was here before follows queues that it has not seen yet from their beginning, unless it names its queues. */
function startOf({ from, later }: Subscription, queue: string): ReturnType<EventHub['position']> {
  return from && (from.get(queue) ?? (later ? STREAM_START : undefined));
}

/** All or none. */
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
