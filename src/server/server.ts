// The server role: an HTTP listener in front of the app, and its graceful stop.

import type { Socket } from 'node:net';
import {
  createServer,
  type IncomingMessage,
  type Server as HttpServer,
  type ServerResponse,
} from 'node:http';
import { getRequestListener, RequestError } from '@hono/node-server';
import { createLateService, type LateService, type Service, timeLimit, within } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import { createProcessMetrics, measureConnection, type ProcessMetrics } from '../metrics/process-metrics.ts';
import { createQueueMetrics } from '../metrics/queue-metrics.ts';
import { createRequestMetrics, type RequestMetrics } from '../metrics/request-metrics.ts';
import { createCensus } from '../store/census.ts';
import type { ConnectionSettings } from '../store/client.ts';
import { FRONT_DOOR_TIMING, openCommandConnection } from '../store/connection.ts';
import { createDurableProducers } from '../store/durable.ts';
import { createEventHub, type EventHub } from '../store/event-hub.ts';
import { createEventLog } from '../store/event-log.ts';
import { createEventReader } from '../store/event-reader.ts';
import { createInspector } from '../store/inspector.ts';
import { createOperations } from '../store/operations.ts';
import { createBatches } from '../store/batches.ts';
import { createWorkflows } from '../store/workflows.ts';
import { createWaiters, type Waiters } from '../store/waiters.ts';
import { createWebhookEndpoints, type WebhookEndpoints } from '../store/webhook-endpoints.ts';
import { WEBHOOK_QUEUE } from '../protocol/webhook.ts';
import type { Registry } from '../tasks/registry.ts';
import { openUpkeep, type UpkeepSettings } from '../upkeep/upkeep.ts';
import { createAdmission } from './admission.ts';
import { addSecurityHeaders } from './answer.ts';
import { createApp } from './app.ts';
import { type Connections, createConnections } from './connections.ts';
import { createEventStreams, type EventStreams } from './events/streams.ts';
import { inPipelines } from './pipelines.ts';
import { listen, urlOf } from './listen.ts';
import { type DepsSettings, openDeps } from './open-deps.ts';
import { createSlowReaders, SLOW_READER_LIMITS, type SlowReaderLimits } from './slow-readers.ts';

export interface ServerSettings extends DepsSettings, UpkeepSettings {
  readonly host: string;
  /** Port to listen on; 0 = any free one. */
  readonly port: number;
  /** Milliseconds for which a stopping server still takes requests. */
  readonly drainMs: number;
  /** Most open connections; further ones are closed at once. */
  readonly maxConnections: number;
  /** Most event streams at the same time; further ones are refused. */
  readonly maxEventStreams: number;
  /** Milliseconds between heartbeats of an event stream. */
  readonly eventHeartbeatMs?: number;
  /** When connections are cut whose client reads nothing of an answer. */
  readonly slowReaders?: SlowReaderLimits;
}

interface Running {
  readonly http: HttpServer;
  readonly waiters: Waiters;
  readonly events: EventStreams;
  readonly hub: EventHub;
  readonly connections: Connections;
  readonly sweeps: Service;
  readonly deliveries: LateService;
  readonly disconnect: () => void;
}

export interface ServerDeps {
  readonly connection: ConnectionSettings;
  readonly registry: Registry;
  readonly log: Log;
  /** What delivers webhooks, if this server does: opened when the first one waits. */
  readonly openDeliveries?: ((endpoints: WebhookEndpoints) => Promise<Service>) | undefined;
  /** Those of the process; without them the server has its own. */
  readonly metrics?: ProcessMetrics | undefined;
}

export interface Server extends Service {
  /** URL on which the server listens, once started. */
  url(): string;
}

/** Milliseconds. A client that sends its request byte by byte is cut after `requestTimeout`. */
const HTTP_LIMITS = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  connectionsCheckingInterval: 5_000,
  // Longer than the idle time of usual load balancers (60 s), so that they close first and never hit a closed socket.
  keepAliveTimeout: 65_000,
};
const MOST_LONG_POLLS = 10_000;
/** Milliseconds, below the idle time of usual proxies. */
const EVENT_HEARTBEAT_MS = 15_000;
/** Milliseconds between two checks of the connections. */
const LOOK_EVERY_MS = 1_000;
/** Host of requests that name none, as HTTP/1.0 allows. */
const UNNAMED_HOST = 'localhost';
/** The last sweeps and relays of a stopping server are not waited for longer than this, in milliseconds. */
const FAREWELL_MS = 3_000;
/** Requests that are still under way this many milliseconds after the drain are cut. */
const CLOSE_WITHIN_MS = 10_000;

export function createServerRole(settings: ServerSettings, deps: ServerDeps): Server {
  const { connection, log, metrics = createProcessMetrics('server') } = deps;
  let stopping = false;
  let running: Running | undefined;

  function build(): Running {
    const command = openCommandConnection(connection, 'server', FRONT_DOOR_TIMING);
    const inspector = createInspector(command);
    const endpoints = createWebhookEndpoints(command);
    const upkeep = openUpkeep(command, settings, 'server', log);
    const hub = createEventHub((listener) => createEventReader(connection, command, listener));
    const waiters = createWaiters(inspector, hub, createAdmission(MOST_LONG_POLLS, 'long polls'));
    const events = createEventStreams({
      hub,
      eventLog: createEventLog(command),
      inspector,
      operations: createOperations(command),
      workflows: createWorkflows(command),
      batches: createBatches(command),
      log,
      most: settings.maxEventStreams,
      heartbeatMs: settings.eventHeartbeatMs ?? EVENT_HEARTBEAT_MS,
    });
    const requests = measure(metrics, command, { waiters: waiters.count, streams: events.count });
    const isStopping = (): boolean => stopping;
    const durable = createDurableProducers(connection, 'server', settings);
    const made = { inspector, upkeep, durable, endpoints, waiters, events, metrics, requests, isStopping };
    const app = createApp(openDeps(settings, deps, command, made));
    const handle = getRequestListener(app.fetch, { errorHandler: refuseUnreadable, hostname: UNNAMED_HOST });
    const listener = inPipelines((incoming, outgoing) => {
      if (isPing(incoming)) answerPing(outgoing, stopping);
      else void handle(incoming, outgoing);
    });
    const http = openHttp(settings);
    const connections = createConnections(http, listener);
    const deliveries = openLate(endpoints, deps);
    const sweeps = upkeep.sweepAll(async () => {
      const queues = await inspector.queues();
      if (queues.includes(WEBHOOK_QUEUE)) deliveries.need();
      return queues;
    });
    const disconnect = (): void => {
      durable.stop();
      command.disconnect();
    };
    return { http, waiters, events, hub, connections, sweeps, deliveries, disconnect };
  }

  return {
    async start() {
      running = build();
      await listen(running.http, settings.port, settings.host);
      if (stopping) return;
      await running.sweeps.start();
      log.info({ url: this.url() }, 'server started');
    },

    async stop(hurry) {
      if (stopping) return;
      stopping = true;
      if (!running) return;
      await end(running, settings.drainMs, hurry);
      log.info('server stopped');
    },

    url() {
      if (!running) throw new TypeError('the server was not started');
      return urlOf(running.http);
    },
  };
}

/** Drains, closes what is open, and ends what stands behind it. */
async function end(running: Running, drainMs: number, hurry: AbortSignal | undefined): Promise<void> {
  const { http, waiters, events, hub, connections, sweeps, deliveries, disconnect } = running;
  const delivered = deliveries.stop(hurry);
  await drain(connections, drainMs, hurry);
  const closed = connections.close();
  waiters.stop();
  await Promise.all([events.stop(), hub.stop()]);
  const late = timeLimit(CLOSE_WITHIN_MS, hurry);
  late.addEventListener('abort', () => http.closeAllConnections(), { once: true });
  if (late.aborted) http.closeAllConnections();
  await closed;
  await Promise.all([within(sweeps.stop(), FAREWELL_MS), delivered]);
  disconnect();
}

/** What delivers webhooks, from the first one on. */
function openLate(endpoints: WebhookEndpoints, { openDeliveries, log }: ServerDeps): LateService {
  if (!openDeliveries) return { need: () => undefined, stop: async () => undefined };
  const failed = (error: unknown): void => log.error({ err: error }, 'webhooks cannot be delivered here');
  return createLateService(() => openDeliveries(endpoints), failed);
}

function openHttp({ maxConnections, slowReaders: limits = SLOW_READER_LIMITS }: ServerSettings): HttpServer {
  const http = Object.assign(createServer(HTTP_LIMITS), { maxConnections });
  const slowReaders = createSlowReaders(limits);
  const looking = setInterval(slowReaders.look, LOOK_EVERY_MS).unref();
  http.once('close', () => clearInterval(looking));
  http.on('connection', (socket: Socket) => slowReaders.watch(socket));
  return http;
}

/** What a server adds to the metrics of its process. @returns takes the requests that it answers */
function measure(
  metrics: ProcessMetrics,
  command: ReturnType<typeof openCommandConnection>,
  open: Parameters<typeof createRequestMetrics>[0],
): RequestMetrics {
  measureConnection(metrics, command);
  const requests = createRequestMetrics(open);
  metrics.add(requests.collect);
  metrics.add(createQueueMetrics(createCensus(command)));
  return requests;
}

/** `OPTIONS *` is a request to the server as a whole (RFC 9110, section 9.3.7). */
function isPing({ method, url }: IncomingMessage): boolean {
  return method === 'OPTIONS' && url === '*';
}

function answerPing(outgoing: ServerResponse, isStopping: boolean): void {
  const headers: Record<string, string> = { Allow: 'GET, HEAD, POST, PUT, DELETE' };
  if (isStopping) headers['Connection'] = 'close';
  addSecurityHeaders(headers, false);
  outgoing.writeHead(204, headers).end();
}

/** Answers a request whose target or host name is no URL: the app takes URLs only. */
function refuseUnreadable(error: unknown): Response {
  const headers = { Connection: 'close' };
  addSecurityHeaders(headers, false);
  return new Response(null, { status: error instanceof RequestError ? 400 : 500, headers });
}

/**
 * Answers requests as before, but each answer closes its connection (`respond`), and `/readyz` is 503. A connection that were
 * closed at once could have a request on its way.
 */
async function drain(connections: Connections, ms: number, hurry: AbortSignal | undefined): Promise<void> {
  if (ms > 0) await connections.whenQuiet(timeLimit(ms, hurry));
}
