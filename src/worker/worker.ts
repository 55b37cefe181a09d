// The worker role: a list of services that start in order and stop in reverse.

import { hostname } from 'node:os';
import { randomBytes } from 'node:crypto';
import { type Service, timeLimit, within } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import { type Announcement, announce } from '../store/announcement.ts';
import { openBlockingPop } from '../store/blocking-pop.ts';
import { type ConnectionSettings, openCommandConnection } from '../store/connection.ts';
import { createConsumer } from '../store/consumer.ts';
import { placesOf } from '../store/keys.ts';
import { watchPermissions } from '../store/permissions.ts';
import { createWakeListener } from '../store/wake-listener.ts';
import type { Registry, TaskSettings } from '../tasks/registry.ts';
import { createSweepTimer } from '../upkeep/sweep-timer.ts';
import { openUpkeep, type UpkeepSettings } from '../upkeep/upkeep.ts';
import { VERSION } from '../version.ts';
import { createCallWatch } from './call-watch.ts';
import { createExecute } from './execute.ts';
import { createFetcher } from './fetcher.ts';
import { createHeartbeat } from './heartbeat.ts';
import { createLaneTurn } from '../protocol/lane.ts';
import { Lease } from './lease.ts';
import { createPrefetch } from './prefetch.ts';
import { createInline } from './runners/inline.ts';
import { createProcessRunner } from './runners/process.ts';
import type { Report } from './runners/runner.ts';
import { createSemaphore, limitRunner } from './runners/semaphore.ts';
import { ThreadPool } from './runners/thread-pool.ts';
import { createSlots, type Slots } from './slots.ts';

export interface WorkerSettings extends UpkeepSettings {
  readonly queues: readonly string[];
  /** Tasks at the same time. */
  readonly concurrency: number;
  /** Threads that run them; those beyond run inline. */
  readonly threads: number;
  readonly threadMemoryMb: number;
  readonly blockMs: number;
  readonly shutdownGraceMs: number;
  readonly resultLimitBytes: number;
  readonly lowLanesPercent: number;
  readonly tasks: TaskSettings;
}

export interface WorkerDeps {
  readonly connection: ConnectionSettings;
  readonly registry: Registry;
  readonly log: Log;
  /** Called when the worker cannot fetch, claim, record or beat for long, and a new process should try. */
  readonly onStuck: () => void;
  /** For tests: five minutes. */
  readonly stuckMs?: number;
}

/** A worker whose calls of one kind have all failed for this long asks to be replaced. */
const STUCK_MS = 300_000;
/** A call that gets no answer for this long is given up with its connection; `held` finds out later what it did. */
const SOCKET_TIMEOUT_MS = 3_000;
/** The last calls of a stopping worker are not waited for longer than this. */
const FAREWELL_MS = 3_000;

export function createWorker(settings: WorkerSettings, deps: WorkerDeps): Service {
  const { log } = deps;
  const name = workerName();
  const stopping = new AbortController();
  /** Those that have begun to start, in this order. */
  const up: Service[] = [];

  return {
    async start() {
      for (const service of servicesOf(settings, deps, name, stopping.signal)) {
        up.push(service);
        await service.start();
        if (stopping.signal.aborted) return;
      }
      const { queues, concurrency } = settings;
      log.info({ worker: name, queues, concurrency }, 'worker started');
    },

    async stop(hurry) {
      if (stopping.signal.aborted) return;
      stopping.abort();
      for (const service of up.toReversed()) {
        // One that fails to stop does not keep the others from it.
        await service
          .stop(hurry)
          .catch((error: unknown) => log.error({ err: error }, 'the worker cannot stop in order'));
      }
      log.info({ worker: name }, 'worker stopped');
    },
  };
}

/** In the order in which they start: each stands on those before it. Nothing connects to Redis before the threads have loaded. */
function* servicesOf(
  settings: WorkerSettings,
  { connection, registry, log, onStuck, stuckMs = STUCK_MS }: WorkerDeps,
  name: string,
  stopping: AbortSignal,
): Generator<Service> {
  const { queues, concurrency, threads, resultLimitBytes, blockMs } = settings;
  const prefetch = createPrefetch(concurrency);
  const slots = createSlots(prefetch.limit);
  const announcement = announcementOf(settings, registry);
  const leases: Lease[] = [];
  const onReport = (report: Report): void =>
    leases.find(({ queue }) => queue === report.queue)?.report(report);

  const runnerSettings = { tasks: settings.tasks, resultLimitBytes, threadMemoryMb: settings.threadMemoryMb };
  const semaphore = createSemaphore(threads);
  const threadPool = new ThreadPool({ settings: runnerSettings, semaphore, prefetch, onReport, log });
  yield threadPool;
  const inline = createInline(registry, resultLimitBytes, onReport, log);
  yield inline;
  const command = openCommandConnection(connection, name, { socketTimeoutMs: SOCKET_TIMEOUT_MS });
  watchPermissions(command, log);
  yield atStop(() => command.disconnect());
  const upkeep = openUpkeep(command, settings, 'worker', log);
  yield atStop(() => farewell([upkeep.relay.settled()]));

  const execute = createExecute({
    registry,
    threads: threadPool,
    inline: limitRunner(inline, createSemaphore(concurrency), prefetch),
    // A process takes the place of a thread.
    processes: limitRunner(createProcessRunner(runnerSettings, onReport, log), semaphore, prefetch),
    prefetch,
    log,
  });
  const watch = createCallWatch(stuckMs, log, onStuck);
  const laneTurn = createLaneTurn(settings.lowLanesPercent);
  for (const place of queues.flatMap(placesOf)) {
    const { queue } = place;
    leases.push(
      new Lease({
        consumer: createConsumer(command, place, name, settings.leaseMs),
        announce: () => announce(command, queue, name, announcement),
        relay: () => upkeep.relay.soon(place),
        slots,
        execute,
        // With several queues the fetcher decides whose turn it is, so that a busy one cannot starve the others.
        wantsMore: () => queues.length === 1 && !stopping.aborted,
        laneTurn,
        places: concurrency,
        watch,
        log,
      }),
    );
  }
  yield atStop(() => farewell(leases.map((lease) => lease.leave().catch(() => undefined))));

  const sweeps = new Map(
    queues.flatMap(placesOf).map((place) => {
      const sweep = upkeep.sweepOf(place);
      return [place, createSweepTimer(sweep, settings.heartbeatMs, log)] as const;
    }),
  );
  yield atStop(() => farewell([...sweeps.values()].map((timer) => timer.stop())));

  const open = () => openBlockingPop(connection, `${name}:feed`, command, blockMs);
  const fetcher = createFetcher({ open, leases, slots, laneTurn, watch, log });
  const onChange = (): void => fetcher.nudge();
  const heartbeat = createHeartbeat({ leases, everyMs: settings.heartbeatMs, onChange, watch, log });
  command.on('ready', () => {
    heartbeat.beat();
    for (const timer of sweeps.values()) timer.within(0);
  });
  yield createWakeListener(connection, command, queues, (queue, dueMs) => {
    for (const [place, timer] of sweeps) if (place.queue === queue) timer.within(dueMs);
    if (dueMs <= 0) heartbeat.beat(queue);
  });
  yield heartbeat;
  yield atStop(async (hurry) => {
    await drain(slots, settings.shutdownGraceMs, hurry);
    await farewell(leases.map((lease) => lease.settled()));
  });
  yield { start: fetcher.start, stop: () => within(fetcher.stop(), blockMs + FAREWELL_MS) };
}

/** What is to be done at the stop, and has no start. */
function atStop(stop: (hurry?: AbortSignal) => unknown): Service {
  return {
    async start() {},
    stop: async (hurry) => void (await stop(hurry)),
  };
}

/** Waits for the last calls of a stopping worker, but not for long. */
function farewell(calls: readonly Promise<void>[]): Promise<unknown> {
  return within(Promise.all(calls), FAREWELL_MS);
}

/** Lets running tasks end for as long as there is time, and stops the others. */
async function drain(slots: Slots, graceMs: number, hurry: AbortSignal | undefined): Promise<void> {
  await slots.whenEmpty(timeLimit(graceMs, hurry));
  for (const held of slots.held()) held.stop('shutting-down');
  // Outcomes of what was stopped are still on their way.
  await slots.whenEmpty(timeLimit(FAREWELL_MS));
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

/** Shows an operator where the worker runs. No other worker ever has this name, nor has one that ran before in the same place. */
function workerName(): string {
  const host = hostname().replace(/[^\w.-]/g, '-');
  return `${host}-${process.pid}-${randomBytes(4).toString('hex')}`;
}
