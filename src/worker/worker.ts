// The worker role: wires the fetch loop, the slots, the threads and the timers, and takes them down in order.

import { hostname } from 'node:os';
import { randomBytes } from 'node:crypto';
import { type Service, timeLimit, within } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import { type Announcement, announce } from '../store/announcement.ts';
import { openBlockingPop } from '../store/blocking-pop.ts';
import { type ConnectionSettings, openCommandConnection } from '../store/connection.ts';
import { createConsumer } from '../store/consumer.ts';
import { createSweeper, type Swept } from '../store/sweeper.ts';
import { runTicks, type TickReport } from '../store/ticks.ts';
import { listenForWakes, type WakeListener } from '../store/wake-listener.ts';
import type { Registry, TaskSettings } from '../tasks/registry.ts';
import { VERSION } from '../version.ts';
import { watchPermissions } from '../store/permissions.ts';
import { createAhead } from './ahead.ts';
import { createCallWatch } from './call-watch.ts';
import { createExchange, type Exchange } from './exchange.ts';
import { createExecute } from './execute.ts';
import { createFeed } from './feed.ts';
import { createGate } from './gate.ts';
import { createGated } from './gated.ts';
import { type Heartbeat, startHeartbeat } from './heartbeat.ts';
import { createInline, type Inline } from './inline.ts';
import { createIsolated } from './isolated.ts';
import type { RunnerSettings, Told } from './job.ts';
import { createLaneTurn } from './lane-turn.ts';
import { createPool } from './pool.ts';
import { createSlots } from './slots.ts';
import { createSweepAndTick } from './sweep-and-tick.ts';
import { createSweepTimer } from './sweep-timer.ts';

export interface WorkerSettings {
  readonly queues: readonly string[];
  /** Tasks at the same time. */
  readonly concurrency: number;
  /** Threads that run them; those beyond run inline. */
  readonly threads: number;
  readonly threadMemoryMb: number;
  readonly leaseMs: number;
  readonly heartbeatMs: number;
  readonly blockMs: number;
  readonly popGraceMs: number;
  readonly shutdownGraceMs: number;
  readonly resultTtlMs: number;
  readonly resultLimitBytes: number;
  readonly retentionBytes: number;
  readonly lowLanesPercent: number;
  readonly tasks: TaskSettings;
}

export interface WorkerParts {
  readonly connection: ConnectionSettings;
  readonly registry: Registry;
  readonly log: Log;
  /** Called when the worker cannot fetch, claim, record or be heard of for long, and a new process should try. */
  readonly onStuck: () => void;
  /** For tests: five minutes. */
  readonly stuckMs?: number;
}

/** Tasks of each kind that one sweep handles; a slice takes Redis about a millisecond. */
const SWEEP_SLICE = 100;
/** A worker whose calls of one kind have all failed for this long asks to be replaced. */
const STUCK_MS = 300_000;
/** A call that gets no answer for this long is given up with its connection, and looked after by `held`. */
const SOCKET_TIMEOUT_MS = 3_000;
/** The last words of a stopping worker are not waited for longer than this. */
const FAREWELL_MS = 3_000;

export function createWorker(settings: WorkerSettings, parts: WorkerParts): Service {
  const { connection, log } = parts;
  const name = workerName();
  const ahead = createAhead(settings.concurrency);
  const slots = createSlots(ahead.limit);
  const runnerSettings = runnerSettingsOf(settings);
  const onTold = (told: Told): void => {
    taken?.exchanges.find(({ queue }) => queue === told.queue)?.tell(told);
  };
  const threadGate = createGate(settings.threads);
  const pool = createPool({ settings: runnerSettings, gate: threadGate, ahead, onTold, log });
  const stopping = new AbortController();
  const announcement = announcementOf(settings, parts.registry);
  let taken: Running | undefined;

  /** Everything that needs Redis; made at start, so that a worker that never ran has nothing to take down. */
  function run(): Running {
    const command = openCommandConnection(connection, name, { socketTimeoutMs: SOCKET_TIMEOUT_MS });
    const inline = createInline(parts.registry, settings.resultLimitBytes, onTold, log);
    const execute = createExecute({
      registry: parts.registry,
      threads: pool,
      inline: createGated(inline, createGate(settings.concurrency), ahead),
      // A process takes the place of a thread.
      isolated: createGated(createIsolated(runnerSettings, onTold, log), threadGate, ahead),
      ahead,
      log,
    });
    const watch = createCallWatch(parts.stuckMs ?? STUCK_MS, log, parts.onStuck);
    watchPermissions(command, log);
    const laneTurn = createLaneTurn(settings.lowLanesPercent);
    const alone = settings.queues.length === 1;
    const exchanges = settings.queues.map((queue) =>
      createExchange({
        consumer: createConsumer(command, queue, name, settings.leaseMs),
        announce: () => announce(command, queue, name, announcement),
        slots,
        execute,
        // With several queues the fetch loop decides whose turn it is, so that a busy one cannot starve the others.
        wantsMore: () => alone && !stopping.signal.aborted,
        laneTurn,
        places: settings.concurrency,
        watch,
        log,
      }),
    );
    const sweep = createSweeper(command, {
      leaseMs: settings.leaseMs,
      slice: SWEEP_SLICE,
      popGraceMs: settings.popGraceMs,
      retentionMs: settings.resultTtlMs,
      retentionBytes: settings.retentionBytes,
      periodMs: settings.heartbeatMs,
    });
    const tick = (queue: string, swept: Swept): Promise<TickReport[]> => runTicks(command, queue, swept);
    const sweeps = new Map(
      settings.queues.map((queue) => [
        queue,
        createSweepTimer(
          createSweepAndTick({ queue, sweep, tick, retryMs: settings.heartbeatMs, log }),
          settings.heartbeatMs,
          log,
        ),
      ]),
    );
    const feed = createFeed({
      open: () => openBlockingPop(connection, `${name}:feed`, command, settings.blockMs),
      exchanges,
      slots,
      laneTurn,
      watch,
      log,
    });

    const heartbeat = startHeartbeat({
      exchanges,
      everyMs: settings.heartbeatMs,
      onOpen: () => feed.nudge(),
      watch,
      log,
    });
    command.on('ready', () => {
      heartbeat.beat();
      for (const timer of sweeps.values()) timer.within(0);
    });
    const wakes = listenForWakes(connection, command, settings.queues, (queue, dueMs) => {
      sweeps.get(queue)?.within(dueMs);
      if (dueMs <= 0) heartbeat.beat(queue);
    });
    feed.start();
    return { command, exchanges, feed, heartbeat, inline, sweeps, wakes };
  }

  async function drain({ exchanges }: Running, hurry: AbortSignal): Promise<void> {
    const patience = timeLimit(settings.shutdownGraceMs, hurry);
    await slots.whenEmpty(patience);
    for (const held of slots.held()) held.stop('shutting-down');
    // Outcomes of what was stopped are still on their way.
    await slots.whenEmpty(timeLimit(FAREWELL_MS));
    await within(Promise.all(exchanges.map((exchange) => exchange.settled())), FAREWELL_MS);
  }

  return {
    async start() {
      await pool.start();
      if (stopping.signal.aborted) return;
      taken = run();
      log.info(
        { worker: name, queues: settings.queues, concurrency: settings.concurrency },
        'worker started',
      );
    },

    async stop(hurry = new AbortController().signal) {
      if (stopping.signal.aborted) return;
      stopping.abort();
      if (taken) {
        const running = taken;
        await within(running.feed.stop(), settings.blockMs + FAREWELL_MS);
        await drain(running, hurry);
        running.heartbeat.stop();
        running.wakes.stop();
        await Promise.all([...running.sweeps.values()].map((timer) => within(timer.stop(), FAREWELL_MS)));
        const farewells = running.exchanges.map((exchange) => exchange.leave().catch(() => undefined));
        await within(Promise.all(farewells), FAREWELL_MS);
        running.command.disconnect();
        running.inline.stop();
      }
      await pool.stop();
      log.info({ worker: name }, 'worker stopped');
    },
  };
}

interface Running {
  readonly command: ReturnType<typeof openCommandConnection>;
  readonly exchanges: readonly Exchange[];
  readonly feed: ReturnType<typeof createFeed>;
  readonly heartbeat: Heartbeat;
  readonly inline: Inline;
  readonly sweeps: ReadonlyMap<string, ReturnType<typeof createSweepTimer>>;
  readonly wakes: WakeListener;
}

/** What handlers may see of the settings: nothing else goes into their threads. */
function runnerSettingsOf({ tasks, resultLimitBytes, threadMemoryMb }: WorkerSettings): RunnerSettings {
  return { tasks, resultLimitBytes, threadMemoryMb };
}

function announcementOf({ concurrency, threads }: WorkerSettings, registry: Registry): Announcement {
  return {
    host: hostname(),
    pid: process.pid,
    startedAt: Date.now(),
    version: VERSION,
    concurrency,
    threads,
    types: [...registry.keys()],
  };
}

/** Tells an operator where the worker is, and is never the name of another one: neither of its past nor of a twin. */
function workerName(): string {
  const host = hostname().replace(/[^\w.-]/g, '-');
  return `${host}-${process.pid}-${randomBytes(4).toString('hex')}`;
}
