// The composition root: configuration → store → role → stop on signals.

import { availableParallelism } from 'node:os';
import { type Config, readConfig } from './config.ts';
import { createEmbeddedRedis, isListening, socketPath } from './embedded/embedded-redis.ts';
import type { Service } from './lifecycle.ts';
import { createLog, type Log, logDestination } from './log.ts';
import { PopfleetError } from './protocol/errors.ts';
import { createServerRole, type Server } from './server/server.ts';
import { loadRegistry, type TaskSettings } from './tasks/registry.ts';
import { createWorker } from './worker/worker.ts';

/** Bad usage, as sysexits(3) numbers it: a supervisor should not start the program again as it is. */
const EXIT_CONFIG = 78;

/**
 * Runs a role until a signal ends it.
 * @param env variables; the command line has put its options into them
 * @returns the exit code
 */
export async function runRole(env: Readonly<Record<string, string | undefined>>): Promise<number> {
  let services: readonly Service[] = [];
  try {
    const config = readConfig(env, availableParallelism());
    const log = createLog(config.logLevel, { role: config.role }, logDestination(config.logFormat));
    const stopped = stopSignal(log);
    const composed = await compose(config, log, stopped.fail);
    services = composed.services;
    for (const service of services) await service.start();
    welcome(config, composed.server);
    const code = await stopped.code;
    await stopAll(services);
    return code;
  } catch (error) {
    await stopAll(services);
    if (!(error instanceof PopfleetError) && !isListenError(error)) throw error;
    process.stderr.write(`${error.message}\n`);
    return error instanceof PopfleetError ? EXIT_CONFIG : 1;
  }
}

interface Composed {
  /** In the order in which they start; they stop in reverse. */
  readonly services: readonly Service[];
  readonly server: Server | undefined;
}

async function compose(config: Config, log: Log, fail: () => void): Promise<Composed> {
  const tasks: TaskSettings = {
    taskDurationMs: config.taskDurationMs,
    taskModules: config.taskModules,
    baseDir: process.cwd(),
  };
  const registry = await loadRegistry(tasks);
  const { url, embedded } = await findRedis(config, log);
  const connection = { url, log };
  const worker =
    config.role === 'server'
      ? undefined
      : createWorker({ ...config, tasks }, { connection, registry, log, onStuck: fail });
  const server =
    config.role === 'worker' ? undefined : createServerRole(config, { connection, registry, log });
  const services = [embedded, worker, server].filter((service) => service !== undefined);
  return { services, server };
}

/** Without `REDIS_URL`, `all` brings its own Redis; the other roles use the one that `all` runs in the same folder. */
async function findRedis(config: Config, log: Log): Promise<{ url: string; embedded: Service | undefined }> {
  if (config.redisUrl !== undefined) return { url: config.redisUrl, embedded: undefined };
  if (config.role === 'all') {
    const embedded = createEmbeddedRedis(config.dataDir, log);
    return { url: embedded.socket, embedded };
  }
  const socket = socketPath(config.dataDir);
  if (await isListening(socket)) return { url: socket, embedded: undefined };
  throw new PopfleetError(
    'bad-config',
    `REDIS_URL: must be set for the role ${config.role} (or start the role all in this folder first)`,
  );
}

async function stopAll(services: readonly Service[]): Promise<void> {
  for (const service of services.toReversed()) await service.stop();
}

/** Resolves with the exit code when a signal, or `fail`, asks the program to end. A second signal ends it at once. */
function stopSignal(log: Log): { code: Promise<number>; fail: () => void } {
  let fail = (): void => undefined;
  const code = new Promise<number>((resolve) => {
    fail = () => {
      log.fatal('nothing could be fetched for long: ending, so that a new process can try');
      resolve(1);
    };
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.once(signal, () => {
        log.info({ signal }, 'stopping');
        process.once(signal, () => process.exit(1));
        resolve(0);
      });
    }
  });
  return { code, fail };
}

function isListenError(error: unknown): error is Error {
  return error instanceof Error && 'syscall' in error && error.syscall === 'listen';
}

/** For a person at a terminal; a supervisor has the log. */
function welcome(config: Config, server: Server | undefined): void {
  if (!server || config.logLevel === 'silent') return;
  const url = server.url();
  const key = config.apiKeys.length > 0 ? " -H 'authorization: Bearer KEY'" : '';
  process.stderr.write(
    [
      '',
      `popfleet is up. API: ${url}/v1/tasks   health: ${url}/healthz`,
      'Try it:',
      `  curl -i ${url}/add${key} -H 'content-type: application/json' -d '{"one":1,"two":2}'`,
      `  curl${key} '${url}/v1/tasks/ID?wait=30'`,
      '',
      '',
    ].join('\n'),
  );
}
