// The composition root: configuration → store → role → stop on signals.

import { availableParallelism } from 'node:os';
import { type Config, readConfig, slipsIn } from './config/config.ts';
import { isListening, socketPath } from './embedded/socket.ts';
import { createEnding, type Ending, endNow } from './ending.ts';
import type { Service } from './lifecycle.ts';
import { createLog, type Log, logDestination } from './log.ts';
import { PopfleetError } from './protocol/errors.ts';
import { reportFault } from './report-fault.ts';
import type { Server } from './server/server.ts';
import type { ConnectionSettings } from './store/client.ts';
import { checkAtStart } from './store/dedicated-connection.ts';
import type { WebhookEndpoints } from './store/webhook-endpoints.ts';
import { loadRegistry, type TaskSettings } from './tasks/registry.ts';

/** Milliseconds between the end of the grace for tasks and requests and the end of the process. */
const STOP_MARGIN_MS = 9_000;

/**
 * Runs a role until a signal, or a failure, ends it.
 * @param env variables; the command line has put its options into them
 * @param onUp called once the role is up, with the address of a server; a greeting on stderr unless given
 * @param onBusy called when its worker begins to hold tasks, and when it holds none any more
 * @returns the exit code
 */
export async function runRole(
  env: Readonly<Record<string, string | undefined>>,
  onUp?: (url: string | undefined) => void,
  onBusy?: (isBusy: boolean) => void,
): Promise<number> {
  let config: Config;
  try {
    config = readConfig(env, availableParallelism());
  } catch (error) {
    return reportFault(error);
  }
  const log = createLog(config.logLevel, { role: config.role }, logDestination(config.logFormat));
  for (const slip of slipsIn(env)) log.warn(slip, 'no setting has the name of this variable');
  const stopWithinMs = Math.max(config.shutdownGraceMs, config.drainMs) + STOP_MARGIN_MS;
  const inline = config.role === 'server' ? undefined : await import('./worker/runners/inline.ts');
  const isForgiven = (error: unknown): boolean => inline?.isLeftByInlineTask(error, log) ?? false;
  const ending = createEnding({ log, stopWithinMs, isForgiven });
  const up: Service[][] = [];
  let fault: unknown;
  try {
    // A task module may hang while it loads, and a service while it starts: a signal ends both.
    const starting = start({ config, log, ending, onBusy }, up).then((server) => {
      if (ending.isAsked()) return;
      if (onUp) onUp(server?.url());
      else welcome(config, server);
    });
    await Promise.race([starting, ending.asked]);
    await ending.asked;
  } catch (error) {
    fault = error;
    ending.fail();
  }
  const isStopped = stopAll(up, ending.hurry).then(() => true);
  if (!(await Promise.race([isStopped, ending.overdue]))) {
    log.fatal('the stop took too long: ending without it');
    endNow();
  }
  return fault === undefined ? ending.exitCode() : reportFault(fault);
}

interface Given {
  readonly config: Config;
  readonly log: Log;
  readonly ending: Ending;
  readonly onBusy: ((isBusy: boolean) => void) | undefined;
}

/** @param up gets the services before they start, stage by stage: those of one stage stop side by side */
async function start(given: Given, up: Service[][]): Promise<Server | undefined> {
  const { ending } = given;
  const { embedded, metricsListener, worker, server } = await compose(given);
  for (const service of [embedded, metricsListener, worker, server]) {
    if (service === undefined || ending.isAsked()) continue;
    if (service === server && worker) up.at(-1)?.push(service);
    else up.push([service]);
    await service.start();
  }
  return server;
}

interface Composed {
  readonly embedded: Service | undefined;
  readonly metricsListener: Service | undefined;
  readonly worker: Service | undefined;
  readonly server: Server | undefined;
}

async function compose({ config, log, ending, onBusy }: Given): Promise<Composed> {
  const tasks = taskSettings(config);
  const registry = await loadRegistry(tasks);
  const { connection, embedded } = await findRedis(config, log);
  const onStuck = (): void => {
    log.fatal('the worker cannot do its work: ending, so that a new process can try');
    ending.fail();
  };
  const onStop = (): void => {
    log.info('stopping: a person wants the worker to end');
    ending.stop();
  };
  const { metrics, metricsListener } = await composeMetrics(config, log);
  const deps = { connection, registry, log };
  // A role loads its own modules alone: it starts sooner and takes less memory.
  let worker: Service | undefined;
  if (config.role !== 'server') {
    const { createWorker } = await import('./worker/worker.ts');
    // Nothing is measured of runs that nobody can ask about.
    worker = createWorker(
      { ...config, tasks },
      { ...deps, onStuck, onStop, onBusy, metrics: metricsListener && metrics },
    );
  }
  let server: Server | undefined;
  if (config.role !== 'worker') {
    const { createServerRole } = await import('./server/server.ts');
    const { createDeliveryMetrics } = await import('./metrics/delivery-metrics.ts');
    const onAttempt = createDeliveryMetrics(metrics);
    const openDeliveries = async (endpoints: WebhookEndpoints): Promise<Service> => {
      const { createDeliveries } = await import('./webhooks/deliveries.ts');
      return createDeliveries(config, { connection, endpoints, log, onAttempt });
    };
    server = createServerRole(config, {
      ...deps,
      metrics,
      ...(config.webhookConcurrency > 0 && { openDeliveries }),
    });
  }
  return { embedded, metricsListener, worker, server };
}

/** Modules are named as seen from the working directory. */
export function taskSettings({ taskDurationMs, taskModules }: Config): TaskSettings {
  return { taskDurationMs, taskModules, baseDir: process.cwd() };
}

async function composeMetrics({ role, host, metricsPort }: Config, log: Log) {
  const { createProcessMetrics } = await import('./metrics/process-metrics.ts');
  const metrics = createProcessMetrics(role);
  if (metricsPort === 0) return { metrics, metricsListener: undefined };
  const { createMetricsListener } = await import('./server/metrics-listener.ts');
  return { metrics, metricsListener: createMetricsListener({ host, port: metricsPort }, metrics, log) };
}

/** Without `REDIS_URL`, the role `all` runs its own Redis; the other roles use the one that `all` runs in the same folder. */
export async function findRedis(
  config: Config,
  log: Log,
): Promise<{ connection: ConnectionSettings; embedded: Service | undefined }> {
  if (config.redisUrl !== undefined) {
    const connection = { url: config.redisUrl, tls: config.redisTls, log };
    await checkAtStart(connection);
    return { connection, embedded: undefined };
  }
  if (config.role === 'all') {
    const { createEmbeddedRedis } = await import('./embedded/embedded-redis.ts');
    const embedded = createEmbeddedRedis(config.dataDir, log);
    return { connection: { url: embedded.socket, log }, embedded };
  }
  const socket = socketPath(config.dataDir);
  if (await isListening(socket)) return { connection: { url: socket, log }, embedded: undefined };
  throw new PopfleetError(
    'bad-config',
    `REDIS_URL: must be set for the role ${config.role} (or start the role all in this folder first)`,
  );
}

/** Stops the last stage first. A service that fails to stop does not keep the others from stopping. */
async function stopAll(stages: readonly (readonly Service[])[], hurry: AbortSignal): Promise<void> {
  for (const stage of stages.toReversed()) {
    await Promise.allSettled(stage.map((service) => service.stop(hurry)));
  }
}

/** Prints the address and two examples for a person at a terminal. */
function welcome(config: Config, server: Server | undefined): void {
  if (!server || config.logLevel === 'silent') return;
  const url = server.url();
  const key = config.apiKeys.length > 0 ? " -H 'authorization: Bearer KEY'" : '';
  process.stderr.write(
    [
      '',
      `popfleet is up. Dashboard: ${url}/ui/   API: ${url}/v1/tasks   health: ${url}/healthz`,
      'Try it:',
      `  curl -i ${url}/add${key} -H 'content-type: application/json' -d '{"one":1,"two":2}'`,
      `  curl${key} '${url}/v1/tasks/ID?wait=30'`,
      '',
      '',
    ].join('\n'),
  );
}
