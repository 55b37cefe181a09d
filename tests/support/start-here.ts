// Starts roles inside the test's own process, with the settings that the program reads from the same variables. A process of its
// own costs half a second of CPU: it is for tests that kill it, signal it, or measure it.

import { tmpdir } from 'node:os';
import { readConfig } from '../../src/config/config.ts';
import { createLog } from '../../src/log.ts';
import { createServerRole } from '../../src/server/server.ts';
import { loadRegistry } from '../../src/tasks/registry.ts';
import { createDeliveries } from '../../src/webhooks/deliveries.ts';
import { createWorker } from '../../src/worker/worker.ts';
import type { Service } from '../../src/lifecycle.ts';
import { eventually } from './eventually.ts';
import { SMALL } from './fleet.ts';

export interface RoleHere {
  /** Of this process. */
  readonly pid: number;
  /** Lines of its log, parsed. */
  log(): readonly Record<string, unknown>[];
  /** Base URL of a server. */
  url(): string;
  /** Name of a worker in Redis. */
  worker(): string;
  /** Ends it as a second signal ends a process: what runs is given back. */
  stop(): Promise<void>;
}

/**
 * Starts a role and waits until it is up.
 * @param env as for `startRole`; needs `REDIS_URL`
 * @param isReady whether to wait until a server has its Redis
 */
export async function startHere(
  role: 'server' | 'worker',
  env: Record<string, string>,
  isReady = true,
): Promise<RoleHere> {
  const config = readConfig({ ...SMALL, APP_TYPE: role, ...env }, 1);
  const url = config.redisUrl;
  if (url === undefined) throw new TypeError('a role in this process needs a REDIS_URL');
  const lines: Record<string, unknown>[] = [];
  const write = (line: string): void => void lines.push(JSON.parse(line) as Record<string, unknown>);
  const log = createLog(config.logLevel, { role }, { write });
  const tasks = {
    taskDurationMs: config.taskDurationMs,
    taskModules: config.taskModules,
    baseDir: tmpdir(),
  };
  const connection = { url, tls: config.redisTls, log };
  const deps = { connection, registry: await loadRegistry(tasks), log };
  const entry = (msg: string): Record<string, unknown> | undefined =>
    lines.find((line) => line['msg'] === msg);
  const hurry = new AbortController();
  const here = (service: Service): RoleHere => ({
    pid: process.pid,
    log: () => lines,
    url: () => String(entry('server started')?.['url']),
    worker: () => String(entry('worker started')?.['worker']),
    stop() {
      hurry.abort();
      return service.stop(hurry.signal);
    },
  });
  if (role === 'worker') {
    const onStuck = (): void => log.fatal('the worker cannot do its work');
    const worker = createWorker({ ...config, tasks }, { ...deps, onStuck });
    await worker.start();
    return here(worker);
  }
  const server = createServerRole(config, {
    ...deps,
    ...(config.webhookConcurrency > 0 && {
      openDeliveries: async (endpoints) => createDeliveries(config, { connection, endpoints, log }),
    }),
  });
  await server.start();
  // Until its connection to Redis stands it answers 503.
  if (isReady) await eventually(async () => (await fetch(`${server.url()}/readyz`)).ok);
  return here(server);
}

/** Ends some that may not have come up. */
export async function stopHere(...roles: readonly (RoleHere | undefined)[]): Promise<void> {
  await Promise.all(roles.map(async (one) => one?.stop()));
}
