// A plain listener beside the API (METRICS_PORT), whose readers need no key: for roles that have no API, and for a port of its own.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Service } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import { CONTENT_TYPES, METRIC_FORMATS, writeFamilies } from '../metrics/family.ts';
import type { ProcessMetrics } from '../metrics/process-metrics.ts';
import { addSecurityHeaders } from './answer.ts';
import { listen, urlOf } from './listen.ts';
import { preferredMedia } from './preferred-media.ts';

export interface MetricsListener extends Service {
  /** URL of the metrics, once started. */
  url(): string;
}

/** A few readers, each of which asks now and then. */
const LIMITS = { headersTimeout: 5_000, requestTimeout: 5_000, keepAliveTimeout: 65_000 };
const MOST_CONNECTIONS = 100;

/**
 * For a probe of a role that has no API: the main thread still turns. Redis is not asked, whose outage must not restart the fleet; a
 * worker that can do no work ends by itself.
 */
function answerHealth(outgoing: ServerResponse, headers: Readonly<Record<string, string>>): void {
  outgoing.writeHead(200, { ...headers, 'Content-Type': 'application/json', 'Cache-Control': 'no-store' });
  outgoing.end('{"status":"ok"}');
}

/** @param port to listen on; 0 = any free one */
export function createMetricsListener(
  { host, port }: { readonly host: string; readonly port: number },
  metrics: Pick<ProcessMetrics, 'collect'>,
  log: Log,
): MetricsListener {
  const http = Object.assign(
    createServer(LIMITS, (incoming, outgoing) => void answer(incoming, outgoing)),
    { maxConnections: MOST_CONNECTIONS },
  );

  async function answer(
    { method, url, headers: { accept } }: IncomingMessage,
    outgoing: ServerResponse,
  ): Promise<void> {
    const headers: Record<string, string> = {};
    addSecurityHeaders(headers, false);
    try {
      if (method !== 'GET' && method !== 'HEAD')
        return void outgoing.writeHead(405, { ...headers, Allow: 'GET, HEAD' }).end();
      const path = url?.split('?', 1)[0];
      if (path === '/healthz') return answerHealth(outgoing, headers);
      if (path !== '/metrics') return void outgoing.writeHead(404, headers).end();
      const format = preferredMedia(accept, METRIC_FORMATS);
      const text = writeFamilies(await metrics.collect(), format);
      outgoing.writeHead(200, { ...headers, 'Content-Type': CONTENT_TYPES[format], Vary: 'Accept' });
      outgoing.end(method === 'HEAD' ? undefined : text);
    } catch (error) {
      log.error({ err: error }, 'metrics could not be answered');
      if (!outgoing.headersSent) outgoing.writeHead(500, headers);
      outgoing.end();
    }
  }

  const self: MetricsListener = {
    async start() {
      await listen(http, port, host, 'METRICS_PORT');
      log.info({ url: self.url() }, 'metrics are listened for');
    },

    async stop() {
      if (!http.listening) return;
      const closed = new Promise((resolve) => http.close(resolve));
      http.closeAllConnections();
      await closed;
    },

    url: () => `${urlOf(http)}/metrics`,
  };
  return self;
}
