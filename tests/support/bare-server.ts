// The routes that wait, behind a real listener, put together so that a test can look at what they hold.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { Hono } from 'hono';
import type { AppEnv } from '../../src/server/app-env.ts';
import { ANYONE } from '../../src/server/caller.ts';
import { createEventStreams, type EventStreams } from '../../src/server/events/streams.ts';
import { problemAnswer, toPopfleetError } from '../../src/server/problem.ts';
import { addRoute } from '../../src/server/operation.ts';
import { eventRoutes } from '../../src/server/routes/events.ts';
import { taskRoutes } from '../../src/server/routes/tasks.ts';
import { openCommandConnection } from '../../src/store/connection.ts';
import { createEventHub, type EventHub } from '../../src/store/event-hub.ts';
import { createEventLog, type EventLog } from '../../src/store/event-log.ts';
import { createEventReader } from '../../src/store/event-reader.ts';
import { createInspector } from '../../src/store/inspector.ts';
import { createOperations } from '../../src/store/operations.ts';
import { listTasks, type Page, type PageQuery } from '../../src/store/lister.ts';
import { createOperator } from '../../src/store/operator.ts';
import { createWaiters, type Waiters } from '../../src/store/waiters.ts';
import { createBatches } from '../../src/store/batches.ts';
import { createWorkflows } from '../../src/store/workflows.ts';
import { silent, testRegistry } from './server.ts';

export interface BareServer {
  readonly url: string;
  readonly waiters: Waiters;
  readonly events: EventStreams;
  readonly hub: EventHub;
  stop(): Promise<void>;
}

export async function startBareServer(
  redisUrl: string,
  limits: {
    readonly most?: number;
    readonly heartbeatMs?: number;
    /** Goes between the streams and the real one. */
    readonly through?: (eventLog: EventLog) => EventLog;
  } = {},
): Promise<BareServer> {
  const settings = silent(redisUrl);
  const command = openCommandConnection(settings, 'bare', {
    commandTimeoutMs: 1_000,
    socketTimeoutMs: 1_500,
  });
  await new Promise((resolve) => command.once('ready', resolve));
  const inspector = createInspector(command);
  const operations = createOperations(command);
  const workflows = createWorkflows(command);
  const batches = createBatches(command);
  const hub = createEventHub((listener) => createEventReader(settings, command, listener));
  const waiters = createWaiters(inspector, hub);
  const { most = 1_000, heartbeatMs = 15_000, through = (one: EventLog) => one } = limits;
  const eventLog = through(createEventLog(command));
  const events = createEventStreams({
    hub,
    eventLog,
    inspector,
    operations,
    workflows,
    batches,
    log: settings.log,
    most,
    heartbeatMs,
  });
  const app = new Hono<AppEnv>();
  app.use('*', (c, next) => {
    c.set('requestId', 'bare');
    c.set('caller', ANYONE);
    c.set('isHttps', false);
    c.set('basePath', '');
    c.set('isStopping', () => false);
    return next();
  });
  const registry = await testRegistry();
  const list = (query: PageQuery): Promise<Page> => listTasks(command, query);
  const routes = [
    ...taskRoutes({
      registry,
      inspector,
      operator: createOperator(command),
      waiters,
      list,
      bodyLimitBytes: 65_536,
    }),
    ...eventRoutes({ registry, inspector, events, operations, workflows, batches }),
  ];
  for (const one of routes) addRoute(app, one);
  app.onError((thrown, c) => problemAnswer(c, toPopfleetError(thrown)));
  const http = createAdaptorServer({ fetch: app.fetch, createServer });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    waiters,
    events,
    hub,
    async stop() {
      waiters.stop();
      await events.stop();
      await hub.stop();
      const closed = new Promise((resolve) => http.close(resolve));
      if ('closeAllConnections' in http) http.closeAllConnections();
      await closed;
      command.disconnect();
    },
  };
}
