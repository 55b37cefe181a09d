// The server role: an HTTP listener in front of the app, and its orderly end.

import type { AddressInfo, Socket } from 'node:net';
import {
  createServer,
  type IncomingMessage,
  type Server as HttpServer,
  type ServerResponse,
} from 'node:http';
import { getRequestListener, RequestError } from '@hono/node-server';
import type { Service } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import { type ConnectionSettings, FRONT_DOOR_TIMING, openCommandConnection } from '../store/connection.ts';
import { createEventHub, type EventHub } from '../store/event-hub.ts';
import { createEventLog } from '../store/event-log.ts';
import { createEventReader } from '../store/event-reader.ts';
import { createInspector } from '../store/inspector.ts';
import { listTasks } from '../store/lister.ts';
import { createOperator } from '../store/operator.ts';
import { createSchedules } from '../store/schedules.ts';
import { createSessions } from '../store/sessions.ts';
import type { Registry } from '../tasks/registry.ts';
import { createAccepting, type LimitSettings } from './accepting.ts';
import { addSecurityHeaders } from './answer.ts';
import { createApp } from './app.ts';
import { type AccessSettings, createAccess } from './auth/access.ts';
import { SESSION_MS } from './auth/session.ts';
import { createEventStreams, type EventStreams } from './events/streams.ts';
import { inPipelines } from './pipelines.ts';
import { createSlowReaders, SLOW_READER_LIMITS, type SlowReaderLimits } from './slow-readers.ts';
import { createWaiters, type Waiters } from './waiters.ts';

export interface ServerSettings extends AccessSettings, LimitSettings {
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
  readonly bodyLimitBytes: number;
  /** Further connections are closed at once. */
  readonly maxConnections?: number;
  /** Event streams at once; further ones are refused. */
  readonly maxEventStreams?: number;
  /** How often an event stream shows that it lives. */
  readonly eventHeartbeatMs?: number;
  /** When connections are cut that take nothing of their answers. */
  readonly slowReaders?: SlowReaderLimits;
}

interface Running {
  readonly http: HttpServer;
  readonly waiters: Waiters;
  readonly events: EventStreams;
  readonly hub: EventHub;
  readonly disconnect: () => void;
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
const DEFAULT_MAX_EVENT_STREAMS = 1_000;
/** Below the idle time of usual proxies. */
const EVENT_HEARTBEAT_MS = 15_000;
/** How often connections are looked at. */
const LOOK_EVERY_MS = 1_000;
/** For requests that name no host, as HTTP/1.0 allows. */
const UNNAMED_HOST = 'localhost';
/** Requests that are still under way after this long are cut. */
const CLOSE_WITHIN_MS = 10_000;

export function createServerRole(settings: ServerSettings, parts: ServerParts): Server {
  const { connection, registry, log } = parts;
  let stopping = false;
  /** Connections that have not sent a request yet, as browsers open them: Node does not count them as idle. */
  const unused = new Set<Socket>();
  let running: Running | undefined;

  function build(): Running {
    const command = openCommandConnection(connection, 'server', FRONT_DOOR_TIMING);
    const inspector = createInspector(command);
    const hub = createEventHub((listener) => createEventReader(connection, command, listener));
    const waiters = createWaiters(inspector, hub);
    const events = createEventStreams({
      hub,
      eventLog: createEventLog(command),
      inspector,
      log,
      most: settings.maxEventStreams ?? DEFAULT_MAX_EVENT_STREAMS,
      heartbeatMs: settings.eventHeartbeatMs ?? EVENT_HEARTBEAT_MS,
    });
    const app = createApp({
      registry,
      ...createAccepting(command, settings),
      inspector,
      operator: createOperator(command),
      list: (query) => listTasks(command, query),
      schedules: createSchedules(command),
      waiters,
      events,
      log,
      bodyLimitBytes: settings.bodyLimitBytes,
      isStopping: () => stopping,
      ...createAccess(settings, createSessions(command, SESSION_MS)),
    });
    const handle = getRequestListener(app.fetch, { errorHandler: refuseUnreadable, hostname: UNNAMED_HOST });
    const http = createServer(
      HTTP_LIMITS,
      inPipelines((incoming, outgoing) => {
        if (isPing(incoming)) answerPing(outgoing);
        else void handle(incoming, outgoing);
      }),
    );
    if (settings.maxConnections !== undefined) http.maxConnections = settings.maxConnections;
    const slowReaders = createSlowReaders(settings.slowReaders ?? SLOW_READER_LIMITS);
    const looking = setInterval(slowReaders.look, LOOK_EVERY_MS).unref();
    http.once('close', () => clearInterval(looking));
    http.on('connection', (socket: Socket) => {
      slowReaders.watch(socket);
      unused.add(socket);
      socket.once('close', () => unused.delete(socket));
    });
    http.on('request', ({ socket }) => unused.delete(socket));
    return { http, waiters, events, hub, disconnect: () => command.disconnect() };
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
      const { http, waiters, events, hub, disconnect } = running;
      const closed = new Promise<void>((resolve) => http.close(() => resolve()));
      waiters.stop();
      await Promise.all([events.stop(), hub.stop()]);
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

/** `OPTIONS *` asks the server as a whole whether it is there (RFC 9110, section 9.3.7). */
function isPing({ method, url }: IncomingMessage): boolean {
  return method === 'OPTIONS' && url === '*';
}

function answerPing(outgoing: ServerResponse): void {
  const headers = { Allow: 'GET, HEAD, POST, PUT, DELETE' };
  addSecurityHeaders(headers, false);
  outgoing.writeHead(204, headers).end();
}

/** Answers a request whose target or host name is no URL, before there is anything that the app could be asked. */
function refuseUnreadable(error: unknown): Response {
  const headers = { Connection: 'close' };
  addSecurityHeaders(headers, false);
  return new Response(null, { status: error instanceof RequestError ? 400 : 500, headers });
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
