// A server inside the test's own process, over a real Redis: what a table of many requests needs.

import { fileURLToPath } from 'node:url';
import { readConfig } from '../../src/config/config.ts';
import { createLog } from '../../src/log.ts';
import type { ConnectionSettings } from '../../src/store/client.ts';
import {
  createServerRole,
  type Server,
  type ServerDeps,
  type ServerSettings,
} from '../../src/server/server.ts';
import { loadRegistry, type Registry } from '../../src/tasks/registry.ts';

/** Those of the configuration, on a free port, without a drain, and without sweeps while a test looks at what stands in Redis. */
export const SERVER_SETTINGS: ServerSettings = {
  ...readConfig({}, 1),
  port: 0,
  drainMs: 0,
  heartbeatMs: 3_600_000,
};

const FIXTURES = fileURLToPath(new URL('../fixtures', import.meta.url));

/** The built-in types and those of `fixtures/tasks.mjs`. */
export function testRegistry(): Promise<Registry> {
  return loadRegistry({ taskDurationMs: 0, taskModules: ['tasks.mjs'], baseDir: FIXTURES });
}

export function silent(url: string): ConnectionSettings {
  return { url, log: createLog('silent', {}) };
}

export async function startServer(
  redisUrl: string,
  bodyLimitBytes = 65_536,
  settings: Partial<ServerSettings> = {},
  deps: Partial<ServerDeps> = {},
): Promise<Server> {
  const connection = silent(redisUrl);
  const parts = { connection, registry: await testRegistry(), log: connection.log, ...deps };
  const server = createServerRole({ ...SERVER_SETTINGS, bodyLimitBytes, ...settings }, parts);
  await server.start();
  return server;
}
