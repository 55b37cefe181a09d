// A queue for the tests of a program: a Redis of its own, and a worker that runs what was sent when the test says so.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readConfig } from '../config/config.ts';
import { createEmbeddedRedis } from '../embedded/embedded-redis.ts';
import { openPopfleet, type Popfleet } from '../library.ts';
import { createLog, type Log } from '../log.ts';
import { PopfleetError } from '../protocol/errors.ts';
import { typeOfContent } from '../protocol/message.ts';
import { readTaskError } from '../protocol/task-error.ts';
import { isTerminal, type TaskState } from '../protocol/task-state.ts';
import { WEBHOOK_QUEUE } from '../protocol/webhook.ts';
import type { ConnectionSettings } from '../store/client.ts';
import { FRONT_DOOR_TIMING, openCommandConnection, whenReady } from '../store/connection.ts';
import { createEventHub } from '../store/event-hub.ts';
import { createEventReader } from '../store/event-reader.ts';
import { createInspector, type Inspector } from '../store/inspector.ts';
import { listTasks } from '../store/lister.ts';
import type { TaskRecord } from '../store/record.ts';
import { createTestRedis, type TestRedis } from '../store/test-redis.ts';
import type { TaskDefinition } from '../tasks/define.ts';
import { type Registry, toRegistry } from '../tasks/registry.ts';
import { readTaskView, type TaskView } from '../views/task-view.ts';
import { UNKNOWN_TYPE } from '../worker/execute.ts';
import { createWorker } from '../worker/worker.ts';

/** @throws PopfleetError from every method */
export interface TestFleet
  extends Pick<Popfleet, 'enqueue' | 'enqueueMany' | 'get' | 'cancel' | 'retry' | 'completeToken'> {
  /** For the program that is tested: what it sends to this Redis is run here too. */
  readonly redisUrl: string;
  /** Every task that is there, oldest first: what the program has sent, and what came of it. @param type those of this type alone */
  sent(type?: string | TaskDefinition): Promise<TaskView[]>;
  /**
   * Runs tasks until nothing is ready and nothing runs any more, also what they send and what follows them.
   * @param options.later runs those that are scheduled too (delays, repeats, snoozes) without waiting for their time
   * @returns the tasks that have ended meanwhile
   * @throws PopfleetError `unknown-type` when one was to run whose definition is not among `tasks`
   */
  drain(options?: { readonly later?: boolean }): Promise<TaskView[]>;
  /** Removes every task. */
  clear(): Promise<void>;
  close(): Promise<void>;
}

export interface TestFleetSettings {
  /** Of every type that is to run, also those that handlers and `onEnd` send. */
  readonly tasks: readonly TaskDefinition[];
  /** A level of pino; `error` by default. */
  readonly logLevel?: string;
}

const ROWS_A_PAGE = 200;
const OPEN_WITHIN_MS = 10_000;
/** The last step of a relay is no event. */
const RELAYED_WITHIN_MS = 20;

/**
 * Starts a Redis in a temporary folder. Handlers run in this process, as inline ones do, so that a test can watch and replace what they
 * use.
 * @throws PopfleetError `bad-config` when no `redis-server` is installed
 */
export async function openTestFleet({ tasks, logLevel = 'error' }: TestFleetSettings): Promise<TestFleet> {
  const log = createLog(logLevel, { role: 'test' });
  const folder = await mkdtemp(join(tmpdir(), 'popfleet-test-'));
  const redis = createEmbeddedRedis(join(folder, 'redis'), createLog('silent', {}));
  await redis.start();
  const connection = { url: redis.socket, log };
  const popfleet = await openPopfleet({ redisUrl: redis.socket, tasks, logLevel });
  const command = openCommandConnection(connection, 'test', FRONT_DOOR_TIMING);
  await whenReady(command, OPEN_WITHIN_MS);
  const inspector = createInspector(command);
  const own = createTestRedis(command);
  const registry = toRegistry(
    tasks.map((definition) => ({ definition: inlined(definition), source: 'the list of tasks' })),
  );

  async function all(wanted: (state: TaskState, id: string) => boolean): Promise<TaskView[]> {
    const views: TaskView[] = [];
    for (const queue of await inspector.queues()) {
      let cursor: string | undefined;
      do {
        const query = {
          queue,
          state: undefined,
          terms: [],
          accept: () => true,
          limit: ROWS_A_PAGE,
          cursor,
        };
        const page = await listTasks(command, query);
        for (const { id, state } of page.records) {
          const record = wanted(state, id) ? await inspector.task(id) : undefined;
          if (record) views.push(await readTaskView(record, inspector, registry));
        }
        cursor = page.next;
      } while (cursor !== undefined);
    }
    // An id begins with the time at which it was made.
    return views.toSorted((one, other) => (one.id < other.id ? -1 : 1));
  }

  return {
    redisUrl: redis.socket,
    enqueue: popfleet.enqueue,
    enqueueMany: popfleet.enqueueMany,
    get: popfleet.get,
    cancel: popfleet.cancel,
    retry: popfleet.retry,
    completeToken: popfleet.completeToken,

    async sent(type) {
      const wanted = typeof type === 'object' ? type.type : type;
      const views = await all(() => true);
      return wanted === undefined ? views : views.filter((view) => view.type === wanted);
    },

    async drain({ later = false } = {}) {
      const before = new Set((await all(isTerminal)).map(({ id }) => id));
      await runAll({ connection, command, inspector, own, registry, log }, later);
      return all((state, id) => isTerminal(state) && !before.has(id));
    },

    clear: () => own.clear(),

    async close() {
      popfleet.close();
      command.disconnect();
      await redis.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The same task, to run in this process. */
function inlined(definition: TaskDefinition): TaskDefinition {
  return Object.freeze({ ...definition, runIn: 'inline' });
}

interface RunDeps {
  readonly connection: ConnectionSettings;
  readonly command: ReturnType<typeof openCommandConnection>;
  readonly inspector: Inspector;
  readonly own: TestRedis;
  readonly registry: Registry;
  readonly log: Log;
}

/** Runs a worker of all queues for as long as there is anything to run. */
async function runAll(
  { connection, command, inspector, own, registry, log }: RunDeps,
  later: boolean,
): Promise<void> {
  // Deliveries are sent by servers: a test finds them ready.
  const queuesToRun = async (): Promise<readonly string[]> =>
    (await inspector.queues()).filter((queue) => queue !== WEBHOOK_QUEUE);
  for (;;) {
    const queues = await queuesToRun();
    if (queues.length === 0) return;
    const settings = {
      ...readConfig({}, 1),
      concurrency: 10,
      queues,
      tasks: { taskDurationMs: 0, taskModules: [], baseDir: '/' },
    };
    const worker = createWorker(settings, {
      connection,
      registry,
      log: quiet(log),
      onStuck: () => undefined,
    });
    const changes = watchQueues(connection, command, queues);
    try {
      await changes.begun;
      await worker.start();
      for (;;) {
        const work = await workOf(inspector, queues, async (queue) => {
          await demandKnown(command, queue, registry);
          if (later) await own.makeDue(queue);
          return later;
        });
        if (work === 'none') break;
        await changes.next(work === 'relays' ? RELAYED_WITHIN_MS : undefined);
      }
    } finally {
      await worker.stop();
      await changes.stop();
    }
    // A task may have sent others to a queue that was not there before.
    const known = new Set(queues);
    if ((await queuesToRun()).every((queue) => known.has(queue))) return;
  }
}

/** Nobody needs the coming and going of the worker. */
function quiet(log: Log): Log {
  return log.isLevelEnabled('debug') ? log : createLog('error', { role: 'test' });
}

/**
 * What there is to do: tasks, or only ends whose followers are being accepted.
 * @param hasten called for a queue with scheduled tasks; resolves to whether they run now
 */
async function workOf(
  inspector: Inspector,
  queues: readonly string[],
  hasten: (queue: string) => Promise<boolean>,
): Promise<'tasks' | 'relays' | 'none'> {
  let [tasks, relays] = [0, 0];
  for (const queue of queues) {
    const { counts, outbox } = await inspector.queue(queue);
    tasks += counts.ready + counts.running;
    if (counts.scheduled > 0 && (await hasten(queue))) tasks += counts.scheduled;
    relays += outbox.length;
  }
  return tasks > 0 ? 'tasks' : relays > 0 ? 'relays' : 'none';
}

/**
 * A worker puts off a task whose type it does not know, for one that does: here there is none.
 * @throws PopfleetError `unknown-type`
 */
async function demandKnown(
  command: ReturnType<typeof openCommandConnection>,
  queue: string,
  registry: Registry,
): Promise<void> {
  const isUnknown = ({ content, error }: TaskRecord): boolean =>
    error !== undefined &&
    readTaskError(error).name === UNKNOWN_TYPE &&
    !registry.has(typeOfContent(content) ?? '');
  const query = {
    queue,
    state: 'scheduled',
    terms: [],
    accept: isUnknown,
    limit: 1,
    cursor: undefined,
  } as const;
  const [unknown] = (await listTasks(command, query)).records;
  if (!unknown) return;
  throw new PopfleetError(
    'unknown-type',
    `The task ${unknown.id} of the queue "${queue}" has the type "${typeOfContent(unknown.content)}", whose definition this test fleet does not have: add it to \`tasks\` of openTestFleet.`,
  );
}

interface Changes {
  readonly begun: Promise<unknown>;
  /** Resolves when something has happened since the last call, or since the beginning; or after `ms`. */
  next(ms?: number): Promise<void>;
  stop(): Promise<void>;
}

function watchQueues(
  connection: ConnectionSettings,
  command: ReturnType<typeof openCommandConnection>,
  queues: readonly string[],
): Changes {
  const hub = createEventHub((listener) => createEventReader(connection, command, listener));
  let happened = false;
  let wake: (() => void) | undefined;
  const onChange = (): void => {
    happened = true;
    wake?.();
  };
  hub.listen({ onEntries: onChange, onGap: onChange });
  return {
    begun: Promise.all(queues.map((queue) => hub.watch(queue))),
    async next(ms) {
      let timer: NodeJS.Timeout | undefined;
      if (!happened) {
        await new Promise<void>((resolve) => {
          wake = resolve;
          if (ms !== undefined) timer = setTimeout(resolve, ms);
        });
      }
      clearTimeout(timer);
      happened = false;
    },
    stop: () => hub.stop(),
  };
}
