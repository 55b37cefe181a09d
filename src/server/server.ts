// The server role: an HTTP listener in front of the app, and its orderly end.

import type { AddressInfo, Socket } from 'node:net';
import { type Server as HttpServer, createServer } from 'node:http';
import { createAdaptorServer } from '@hono/node-server';
import type { Service } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import { type ConnectionSettings, FRONT_DOOR_TIMING, openCommandConnection } from '../store/connection.ts';
import { createEventReader } from '../store/event-reader.ts';
import { createInspector } from '../store/inspector.ts';
import { createOperator } from '../store/operator.ts';
import { createProducer } from '../store/producer.ts';
import { createSchedules } from '../store/schedules.ts';
import type { Registry } from '../tasks/registry.ts';
import { createApp } from './app.ts';
import { createIntake } from '../store/intake.ts';
import { createWaiters, type Waiters } from './waiters.ts';

export interface ServerSettings {
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
  readonly bodyLimitBytes: number;
}

export interface ServerParts {
  readonly connection: ConnectionSettings;
  readonly registry: Registry;
  readonly log: Log;
}

export interface Server extends Service {
  /** Where it listens, once started. */
  url(): string;
}

/** A caller that dribbles a request holds its socket no longer than this. */
const HTTP_LIMITS = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  connectionsCheckingInterval: 5_000,
  // Longer than the idle time of usual load balancers (60 s), so that they close first and never hit a closed socket.
  keepAliveTimeout: 65_000,
};
/** Requests that are still under way after this long are cut. */
const CLOSE_WITHIN_MS = 10_000;

export function createServerRole(settings: ServerSettings, parts: ServerParts): Server {
  const { connection, registry, log } = parts;
  let stopping = false;
  /** Connections that have not sent a request yet, as browsers open them: Node does not count them as idle. */
  const unused = new Set<Socket>();
  let running: { http: HttpServer; waiters: Waiters; disconnect: () => void } | undefined;

  function build(): { http: HttpServer; waiters: Waiters; disconnect: () => void } {
    const command = openCommandConnection(connection, 'server', FRONT_DOOR_TIMING);
    const inspector = createInspector(command);
    const waiters = createWaiters(inspector, (listener) => createEventReader(connection, command, listener));
    const app = createApp({
      registry,
      intake: createIntake(createProducer(command)),
      inspector,
      operator: createOperator(command),
      schedules: createSchedules(command),
      waiters,
      log,
      bodyLimitBytes: settings.bodyLimitBytes,
      isStopping: () => stopping,
    });
    const http = createAdaptorServer({
      fetch: app.fetch,
      createServer,
      serverOptions: HTTP_LIMITS,
    }) as HttpServer;
    http.on('connection', (socket: Socket) => {
      unused.add(socket);
      socket.once('close', () => unused.delete(socket));
    });
    http.on('request', ({ socket }) => unused.delete(socket));
    return { http, waiters, disconnect: () => command.disconnect() };
  }

  return {
    async start() {
      running = build();
      await listen(running.http, settings.port, settings.host);
      log.info({ url: this.url() }, 'server started');
    },

    async stop() {
      if (stopping) return;
      stopping = true;
      if (!running) return;
      const { http, waiters, disconnect } = running;
      const closed = new Promise<void>((resolve) => http.close(() => resolve()));
      await waiters.stop();
      http.closeIdleConnections();
      for (const socket of unused) socket.destroy();
      const cut = setTimeout(() => http.closeAllConnections(), CLOSE_WITHIN_MS);
      await closed;
      clearTimeout(cut);
      disconnect();
      log.info('server stopped');
    },

    url() {
      if (!running) throw new TypeError('the server was not started');
      const { address, port, family } = running.http.address() as AddressInfo;
      return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
    },
  };
}

/** @throws Error of `listen`: the address is in use, or not of this machine */
function listen(http: HttpServer, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    http.once('error', reject);
    http.listen(port, host, () => {
      http.off('error', reject);
      resolve();
    });
  });
}
