// `popfleet fleet`: workers in processes of their own on this machine, as many as their queues want.

import { availableParallelism } from 'node:os';
import { type Config, readConfig } from '../config/config.ts';
import { createEnding } from '../ending.ts';
import { delay } from '../lifecycle.ts';
import { createLog, type Log, logDestination } from '../log.ts';
import { findRedis, taskSettings } from '../main.ts';
import { EXIT_CONFIG, reportFault } from '../report-fault.ts';
import { startRoleProcess } from '../role-process.ts';
import { FRONT_DOOR_TIMING, openCommandConnection, whenReady } from '../store/connection.ts';
import { loadRegistry, queuesOf } from '../tasks/registry.ts';
import { createDesired, createReading } from './desired.ts';
import { Supervisor } from './supervisor.ts';

const MB = 1_048_576;
/** Milliseconds between two looks at queues and memory. */
const LOOK_EVERY_MS = 5_000;
/** The first look waits so long for Redis. */
const READY_WITHIN_MS = 2_000;
/** Longer than the grace of a worker, in milliseconds. */
const STOP_MARGIN_MS = 15_000;

/**
 * Runs until a signal ends it.
 * @param env variables; the command line has put its options into them
 * @returns the exit code
 */
export async function runFleet(env: Readonly<Record<string, string | undefined>>): Promise<number> {
  try {
    // Processes are what is counted here: each runs one task at a time unless it is told otherwise.
    const variables = { ...env, APP_TYPE: 'worker', CONCURRENCY: env['CONCURRENCY'] || '1' };
    return await supervise(variables, readConfig(variables, availableParallelism()));
  } catch (error) {
    return reportFault(error);
  }
}

async function supervise(variables: NodeJS.ProcessEnv, config: Config): Promise<number> {
  const log = createLog(config.logLevel, { role: 'fleet' }, logDestination(config.logFormat));
  const { connection } = await findRedis(config, log);
  const queues = config.queues ?? queuesOf(await loadRegistry(taskSettings(config)));
  let useless: number | undefined;
  const supervisor = new Supervisor({
    log,
    memoryBytes: config.fleetMemoryMb * MB || Number.POSITIVE_INFINITY,
    start: (slot) => startRoleProcess({ ...variables, ...portOf(config, slot) }),
    onUseless(code) {
      if (code !== EXIT_CONFIG) return;
      useless = code;
      ending.fail();
    },
  });
  const stopWithinMs = config.shutdownGraceMs + STOP_MARGIN_MS;
  // At a terminal it means that the terminal is gone.
  const onHangUp = process.stdin.isTTY ? undefined : () => void rollAll(supervisor, log);
  const ending = createEnding({ log, stopWithinMs, onHangUp });
  const stopped = new AbortController();
  void ending.asked.then(() => stopped.abort());

  const { fleetMin, fleetMax } = config;
  const client = openCommandConnection(connection, 'fleet', FRONT_DOOR_TIMING);
  supervisor.want(fleetMin);
  log.info({ min: fleetMin, max: fleetMax, queues }, 'fleet started');
  await whenReady(client, READY_WITHIN_MS);
  await keep(config, supervisor, createReading(client, queues, config), log, stopped.signal);

  ending.hurry.addEventListener('abort', () => void supervisor.stop());
  const isStopped = supervisor.stop().then(() => true);
  if (!(await Promise.race([isStopped, ending.overdue]))) {
    log.fatal('the stop took too long: ending the workers without it');
    supervisor.kill();
    await isStopped;
  }
  client.disconnect();
  log.info('fleet stopped');
  return useless ?? ending.exitCode();
}

/** Looks at queues and memory, again and again until the signal fires. */
async function keep(
  config: Config,
  supervisor: Supervisor,
  read: () => Promise<number | undefined>,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  const desired = createDesired(config);
  let checking: Promise<void> | undefined;
  while (!signal.aborted) {
    const wanted = config.fleetMin === config.fleetMax ? undefined : await read();
    // What Redis does not say changes nothing.
    const count = wanted === undefined ? undefined : desired(wanted, performance.now());
    if (signal.aborted) return;
    if (count !== undefined && count !== supervisor.count()) {
      log.info({ count, before: supervisor.count() }, 'the queues want another number of workers');
      supervisor.want(count);
    }
    // One that replaces workers goes on beside.
    if (config.fleetMemoryMb > 0) {
      checking ??= supervisor.checkMemory().finally(() => {
        checking = undefined;
      });
    }
    await delay(LOOK_EVERY_MS, signal);
  }
}

async function rollAll(supervisor: Supervisor, log: Log): Promise<void> {
  log.info({ signal: 'SIGHUP' }, 'replacing all workers, one after the other');
  await supervisor.roll();
}

/** Each process has a port of its own for its metrics, and while it is replaced so has its successor. */
function portOf({ metricsPort }: Config, slot: number): NodeJS.ProcessEnv {
  return metricsPort === 0 ? {} : { METRICS_PORT: String(metricsPort + slot) };
}
