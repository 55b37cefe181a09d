// What serves queues, whatever runs their tasks: services that fetch, claim, record, beat and sweep, which start in order and
// stop in reverse.

import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { openAccept } from '../accept/open-accept.ts';
import { createSpawn } from '../children/spawn.ts';
import { type Service, timeLimit, within } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import { measureConnection, type ProcessMetrics } from '../metrics/process-metrics.ts';
import { createTypeTally } from '../metrics/type-tally.ts';
import { createWorkerMetrics, type WorkerMetrics } from '../metrics/worker-metrics.ts';
import { createLaneTurn } from '../protocol/lane.ts';
import { type Announcement, announce } from '../store/announcement.ts';
import { openBlockingPop } from '../store/blocking-pop.ts';
import type { ConnectionSettings } from '../store/client.ts';
import { isCluster, openCommandConnection } from '../store/connection.ts';
import { createConsumer, type Spans } from '../store/consumer.ts';
import { placesOf } from '../store/keys.ts';
import { watchPermissions } from '../store/permissions.ts';
import { createReadyLists } from '../store/ready-lists.ts';
import { readDueTimes } from '../store/read-tasks.ts';
import { createWakeListener, type WakeEars } from '../store/wake-listener.ts';
import type { Registry } from '../tasks/registry.ts';
import { createSweepTimer } from '../upkeep/sweep-timer.ts';
import { openUpkeep, type UpkeepSettings } from '../upkeep/upkeep.ts';
import { VERSION } from '../version.ts';
import { createCallWatch } from './call-watch.ts';
import { type Checkpoints, createCheckpoints } from './checkpoints.ts';
import { createExecute, type ExecuteDeps } from './execute.ts';
import { createFetcher, type Fetcher } from './fetcher.ts';
import { createHeartbeat } from './heartbeat.ts';
import { Lease } from './lease.ts';
import { createOffers, type Offers } from './offers.ts';
import { createPrefetch, type Prefetch } from './prefetch.ts';
import type { HandlerLink, OnRan } from './runners/runner.ts';
import { createSlots, type Slots } from './slots.ts';
import { createSpreadFetcher } from './spread-fetcher.ts';
import { createThreadRoom } from './thread-room.ts';
import { createSources, type Sources } from './sources.ts';

export interface ServingSettings extends UpkeepSettings {
  readonly queues: readonly string[];
  /** Tasks at the same time. */
  readonly concurrency: number;
  /** Threads that run them; those beyond run inline. */
  readonly threads: number;
  readonly blockMs: number;
  /** How long running tasks may finish at the stop, in milliseconds. */
  readonly shutdownGraceMs: number;
  readonly lowLanesPercent: number;
  /** Of the code that handlers are; `undefined`: that of popfleet. */
  readonly codeVersion?: string | undefined;
}

/** What runners tell of the runs that they have. */
interface RunnerWatch {
  readonly onRan: OnRan;
  /** @param reason why the thread of a run was gone */
  readonly onReplaced?: (reason: string) => void;
}

type OpenRunners = (prefetch: Prefetch, link: HandlerLink, watch: RunnerWatch) => Runners;

/** What runs the tasks, and the services that this stands on, in the order in which they start. */
type Runners = Pick<ExecuteDeps, 'threads' | 'inline' | 'processes'> & {
  readonly services: readonly Service[];
};

export interface ServingDeps {
  readonly connection: ConnectionSettings;
  readonly registry: Registry;
  readonly log: Log;
  /** Called when it cannot fetch, claim, record or beat for long, and a new process should try. */
  readonly onStuck: () => void;
  /** Called when a person wants the program to end. Without it, the worker only becomes quiet. */
  readonly onStop?: () => void;
  /** Called when it begins to hold tasks, and when it holds none any more. */
  readonly onBusy?: ((isBusy: boolean) => void) | undefined;
  /** Those of the process; without them nothing is measured. */
  readonly metrics?: ProcessMetrics | undefined;
  /** For tests: five minutes. */
  readonly stuckMs?: number;
}

/** A worker whose calls of one kind have all failed for this long asks to be replaced. */
const STUCK_MS = 300_000;
/** A call that gets no answer for this long is given up with its connection; `held` finds out later what it did. */
const SOCKET_TIMEOUT_MS = 3_000;
/** The last calls of a stopping worker are not waited for longer than this. */
const FAREWELL_MS = 3_000;

/**
 * @param title what it is called in the log
 * @param openRunners makes what runs the tasks; `link` takes what their handlers say
 */
export function createServing(
  title: string,
  settings: ServingSettings,
  deps: ServingDeps,
  openRunners: OpenRunners,
): Service {
  const { log } = deps;
  const name = workerName();
  const stopping = new AbortController();
  /** Those that have begun to start, in this order. */
  const up: Service[] = [];

  return {
    async start() {
      for (const service of servicesOf(settings, deps, openRunners, name, stopping.signal)) {
        up.push(service);
        await service.start();
        if (stopping.signal.aborted) return;
      }
      const { queues, concurrency } = settings;
      log.info({ worker: name, queues, concurrency }, `${title} started`);
    },

    async stop(hurry) {
      if (stopping.signal.aborted) return;
      stopping.abort();
      for (const service of up.toReversed()) {
        // One that fails to stop does not keep the others from it.
        await service
          .stop(hurry)
          .catch((error: unknown) => log.error({ err: error }, `the ${title} cannot stop in order`));
      }
      log.info({ worker: name }, `${title} stopped`);
    },
  };
}

/** In the order in which they start: each stands on those before it. Nothing connects to Redis before the runners have loaded. */
function* servicesOf(
  settings: ServingSettings,
  { connection, registry, log, onStuck, onStop = () => undefined, onBusy, metrics, stuckMs }: ServingDeps,
  openRunners: OpenRunners,
  name: string,
  stopping: AbortSignal,
): Generator<Service> {
  const { queues, concurrency, blockMs } = settings;
  const prefetch = createPrefetch(concurrency);
  const slots = createSlots(prefetch.limit, onBusy);
  const threadRoom = createThreadRoom(settings, slots, () => fetcher.nudge());
  const announcement = announcementOf(settings, registry);
  const leases: Lease[] = [];
  const measured = metrics && measure(metrics, settings, { slots, leases, command: () => command });
  const counted = count(settings, measured);
  const own = { leases, slots, stopping, log };
  const asked = {
    checkpoints: createCheckpoints(own),
    sources: createSources({ ...own, spawn: () => spawn }),
  };

  const { services, ...runners } = openRunners(prefetch, linkTo(leases, asked), counted.watch);
  yield* services;
  const command = openCommandConnection(connection, name, { socketTimeoutMs: SOCKET_TIMEOUT_MS });
  watchPermissions(command, log);
  if (metrics) measureConnection(metrics, command);
  yield atStop(() => command.disconnect());
  const upkeep = openUpkeep(command, settings, 'worker', log);
  const spawn = createSpawn(openAccept(command, registry, undefined, log));
  yield atStop(() => farewell([upkeep.relay.settled()]));

  const taking = { slots, prefetch, threadRoom, log };
  const execute = createExecute({ registry, ...runners, ...asked, ...counted.ends, ...taking });
  const calls = createCallWatch(stuckMs ?? STUCK_MS, log, onStuck);
  const watch = measured?.watching(calls) ?? calls;
  const laneTurn = createLaneTurn(settings.lowLanesPercent);
  // A script of a cluster's node cannot tell whether a worker that listens to another node hears it.
  const offers = createOffers(isCluster(command) ? [] : queues, (queue) => heartbeat.beat(queue));
  for (const place of queues.flatMap(placesOf)) {
    leases.push(
      new Lease({
        consumer: createConsumer(command, place, name, settings.leaseMs),
        announce: () => announce(command, place.queue, name, announcement),
        relay: () => upkeep.relay.soon(place),
        ...taking,
        execute,
        takeSpans: () => counted.takeSpans(place.queue),
        // With several queues the fetcher decides whose turn it is, so that a busy one cannot starve the others.
        wantsMore: () => queues.length === 1 && !stopping.aborted,
        laneTurn,
        places: concurrency,
        offers,
        leaseMs: settings.leaseMs,
        onFull: () => setImmediate(() => fetcher.rest()),
        onChange: () => fetcher.nudge(),
        watch,
        onStop,
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

  const open = (queue: string) => openBlockingPop(connection, `${name}:feed`, command, blockMs, queue);
  const fetcher = openFetcher(command, queues, open, { leases, slots, laneTurn, watch, log });
  const heartbeat = createHeartbeat({ leases, everyMs: settings.heartbeatMs, watch, log });
  command.on('ready', () => {
    heartbeat.beat();
    for (const timer of sweeps.values()) timer.within(0);
  });
  const onHand: WakeEars['onHand'] = (queue, hand) => leases.find((one) => one.queue === queue)?.take(hand);
  const onWake: WakeEars['onWake'] = (queue, dueMs) => {
    for (const [place, timer] of sweeps) if (place.queue === queue) timer.within(dueMs);
    if (dueMs <= 0) heartbeat.beat(queue);
  };
  yield createWakeListener(connection, command, queues, name, { onWake, onHand });
  yield heartbeat;
  yield* takers(settings, { slots, leases, fetcher, offers });
}

interface Takers {
  readonly slots: Slots;
  readonly leases: readonly Lease[];
  readonly fetcher: Fetcher;
  readonly offers: Offers;
}

/** What takes tasks. At the stop: nothing more is offered, nothing more is fetched, and what runs may end. */
function* takers(settings: ServingSettings, { slots, leases, fetcher, offers }: Takers): Generator<Service> {
  yield atStop(async (hurry) => {
    await drain(slots, settings.shutdownGraceMs, hurry);
    await farewell(leases.map((lease) => lease.settled()));
  });
  yield { start: fetcher.start, stop: () => within(fetcher.stop(), settings.blockMs + FAREWELL_MS) };
  yield atStop(() => {
    offers.stop();
    return farewell(leases.map((lease) => lease.withdraw().catch(() => undefined)));
  });
}

/** In a cluster, one pop cannot wait for several queues. */
function openFetcher(
  command: ReturnType<typeof openCommandConnection>,
  queues: readonly string[],
  open: (queue: string) => ReturnType<typeof openBlockingPop>,
  deps: Omit<Parameters<typeof createFetcher>[0], 'open'>,
): ReturnType<typeof createFetcher> {
  return queues.length > 1 && isCluster(command)
    ? createSpreadFetcher({ ...deps, open, lists: createReadyLists(command) })
    : createFetcher({ ...deps, open: () => open(queues[0] ?? '') });
}

interface MeasuredParts {
  readonly slots: Slots;
  readonly leases: readonly Lease[];
  /** Its connection, once it is open. */
  readonly command: () => ReturnType<typeof openCommandConnection>;
}

/** What it adds to the metrics of its process. */
function measure(
  metrics: ProcessMetrics,
  { queues, concurrency }: ServingSettings,
  { slots, leases, command }: MeasuredParts,
): WorkerMetrics & { readonly watch: RunnerWatch } {
  const measured = createWorkerMetrics(metrics, {
    queues,
    slots: concurrency,
    held: (queue) => slots.held(queue).length,
    isOpen: () => leases.some(({ isOpen }) => isOpen),
    readDueTimes: (queue, ids) => readDueTimes(command(), queue, ids),
  });
  const onRan: OnRan = ({ queue, type }, ms) => measured.runs.of(queue, type).ran(ms);
  return { ...measured, watch: { onRan, onReplaced: measured.threadReplaced } };
}

interface Counted {
  readonly watch: RunnerWatch;
  /** Takes how they end. */
  readonly ends: Pick<ExecuteDeps, 'version' | 'metrics' | 'onFailed'>;
  takeSpans(queue: string): Spans;
}

/** What is counted of all runs, whether they are measured or not. */
function count(
  { codeVersion = VERSION }: ServingSettings,
  measured: ReturnType<typeof measure> | undefined,
): Counted {
  const tally = createTypeTally();
  return {
    watch: {
      ...measured?.watch,
      onRan(run, ms) {
        tally.ran(run, ms);
        measured?.watch.onRan(run, ms);
      },
    },
    ends: { version: codeVersion, metrics: measured?.runs, onFailed: tally.failed },
    takeSpans(queue) {
      const { types, counts } = tally.take(queue);
      return { types, counts: [...counts, ...(measured?.runs.takeWaits(queue) ?? [])] };
    },
  };
}

/** What is to be done at the stop, and has no start. */
function atStop(stop: (hurry?: AbortSignal) => unknown): Service {
  return {
    async start() {},
    stop: async (hurry) => void (await stop(hurry)),
  };
}

/** Leads what handlers say to the lease of their queue. */
function linkTo(
  leases: readonly Lease[],
  { checkpoints, sources }: { readonly checkpoints: Checkpoints; readonly sources: Sources },
): HandlerLink {
  return {
    report: (report) => leases.find(({ queue }) => queue === report.queue)?.report(report),
    request(run, request) {
      switch (request.kind) {
        case 'token':
          return sources.token(run, request.name);
        case 'spawn':
          return sources.spawn(run, request);
        case 'checkpoint':
          return checkpoints.keep(run, request.value);
      }
    },
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

function announcementOf({ concurrency, threads }: ServingSettings, registry: Registry): Announcement {
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
