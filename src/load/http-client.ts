// JSON over kept-alive connections. Every way in which an exchange can end is a value. The caller bounds how many requests
// are open; the client never queues one.

import * as http from 'node:http';
import * as https from 'node:https';
import { text } from 'node:stream/consumers';
import { urlToHttpOptions } from 'node:url';

/**
 * How one exchange ended. `not-sent` is certain: no connection was opened, so the server cannot have received the
 * request. `broken` is not: the server may have acted on it before the connection went away.
 */
export type Reply =
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly retryAfterMs: number;
      readonly body: unknown;
    }
  | { readonly kind: 'not-sent'; readonly reason: string }
  | { readonly kind: 'broken'; readonly reason: string };

export interface HttpClient {
  /** `path` starts with a slash and is appended to the root URL. */
  get(path: string): Promise<Reply>;
  post(path: string, json: Buffer): Promise<Reply>;
  /** Closes every connection; exchanges in progress end as `broken`. */
  close(): void;
}

/** Milliseconds before a retry when a refusal has no `Retry-After`. */
const DEFAULT_RETRY_AFTER_MS = 1_000;

/**
 * @param maxIdle connections that are kept for later requests
 * @param timeoutMs longest silence on a connection, in milliseconds
 * @param key sent as bearer token
 */
export function createHttpClient(root: URL, maxIdle: number, timeoutMs: number, key?: string): HttpClient {
  const protocol = root.protocol === 'https:' ? https : http;
  const agent = new protocol.Agent({ keepAlive: true, maxFreeSockets: maxIdle });
  const target = { ...urlToHttpOptions(root), agent, timeout: timeoutMs };
  const prefix = root.pathname.replace(/\/+$/, '');

  const exchange = (path: string, method: string, body?: Buffer): Promise<Reply> =>
    new Promise((resolve) => {
      const headers: http.OutgoingHttpHeaders = { accept: 'application/json' };
      if (key !== undefined) headers['authorization'] = `Bearer ${key}`;
      if (body !== undefined) {
        headers['content-type'] = 'application/json';
        headers['content-length'] = body.length;
      }
      const request = protocol.request({ ...target, path: `${prefix}${path}`, method, headers });
      let connected = false;
      request.on('socket', (socket) => {
        if (!socket.connecting) connected = true;
        else socket.once('connect', () => (connected = true));
      });
      request.on('timeout', () => request.destroy(new Error(`no answer for ${timeoutMs / 1_000} s`)));
      request.on('error', (error) =>
        resolve({ kind: connected ? 'broken' : 'not-sent', reason: reasonOf(error) }),
      );
      request.on('response', (response) => resolve(readReply(response)));
      request.end(body);
    });

  return {
    get: (path) => exchange(path, 'GET'),
    post: (path, json) => exchange(path, 'POST', json),
    close: () => agent.destroy(),
  };
}

async function readReply(response: http.IncomingMessage): Promise<Reply> {
  try {
    const body = parseJson(await text(response));
    const retryAfterMs = parseRetryAfterMs(response.headers['retry-after']);
    return { kind: 'answer', status: response.statusCode ?? 0, retryAfterMs, body };
  } catch (error) {
    return { kind: 'broken', reason: reasonOf(error) };
  }
}

function parseJson(source: string): unknown {
  try {
    return JSON.parse(source);
  } catch {
    return source;
  }
}

function parseRetryAfterMs(header: string | undefined): number {
  return header !== undefined && /^\d{1,6}$/.test(header) ? Number(header) * 1_000 : DEFAULT_RETRY_AFTER_MS;
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // A name with several addresses fails with an AggregateError whose message is empty.
  return error.message || ((error as NodeJS.ErrnoException).code ?? error.name);
}
