// One call to a receiver: to the address that was checked and no other, without redirects, and with bounds on what is read. By
// `node:http`, because `fetch` resolves the name again, and unpacks what it is answered without a bound.

import { type IncomingMessage, Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { LookupFunction } from 'node:net';
import type { Checked } from './guard.ts';

export interface Posted {
  readonly status: number;
  /** What the header `Retry-After` says, in milliseconds from now. */
  readonly retryAfterMs: number | undefined;
}

/** Bytes that are read of an answer, which are thrown away. */
const MOST_ANSWER_BYTES = 16_384;

// Their own, without connections that stay open: the next one goes to an address that was checked anew. Also, they know no proxy.
const AGENTS = {
  'http:': new HttpAgent({ keepAlive: false }),
  'https:': new HttpsAgent({ keepAlive: false }),
};

/**
 * Posts a body. The status decides, as soon as it is there; what follows is read for politeness only.
 * @param to where the name of the URL points, as the guard has found it
 * @param limitMs for all of it
 * @throws Error of the connection; `TimeoutError` when the time is over, `AbortError` with the signal
 */
export function post(
  url: URL,
  to: Checked,
  headers: Readonly<Record<string, string>>,
  body: Uint8Array,
  limitMs: number,
  signal: AbortSignal,
): Promise<Posted> {
  const pinned = ((_host, options, callback) => {
    if (options.all) callback(null, [to]);
    else callback(null, to.address, to.family);
  }) satisfies LookupFunction;
  const isHttps = url.protocol === 'https:';
  return new Promise((resolve, reject) => {
    const request = (isHttps ? httpsRequest : httpRequest)(url, {
      method: 'POST',
      headers: { ...headers, 'content-length': String(body.length), connection: 'close' },
      agent: AGENTS[isHttps ? 'https:' : 'http:'],
      lookup: pinned,
      signal,
    });
    let posted: Posted | undefined;
    const timer = setTimeout(() => {
      if (posted) end();
      else request.destroy(new DOMException(`no answer within ${limitMs} ms`, 'TimeoutError'));
    }, limitMs);
    const end = (): void => {
      clearTimeout(timer);
      request.destroy();
      if (posted) resolve(posted);
    };
    request.on('response', (answer) => {
      posted = { status: answer.statusCode ?? 0, retryAfterMs: retryAfterOf(answer) };
      let bytes = 0;
      answer.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > MOST_ANSWER_BYTES) end();
      });
      answer.on('close', end);
      answer.on('error', end);
    });
    request.on('error', (error) => {
      clearTimeout(timer);
      if (posted) resolve(posted);
      else reject(error);
    });
    request.end(body);
  });
}

/** Seconds or a date (RFC 9110, section 10.2.3). */
function retryAfterOf({ headers }: IncomingMessage): number | undefined {
  const text = headers['retry-after'];
  if (text === undefined) return undefined;
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - Date.now();
  return Number.isFinite(ms) && ms > 0 ? ms : undefined;
}
