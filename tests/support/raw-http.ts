// HTTP without the help of `fetch`, which cleans paths up and sets headers itself.

import { type Agent, type IncomingHttpHeaders, request } from 'node:http';
import { connect } from 'node:net';

export interface RawAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export interface RawRequest {
  readonly method?: string;
  /** Sent as it is. */
  readonly path?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
  /** Keeps connections for many requests; each has one of its own unless given. */
  readonly agent?: Agent;
}

/** @param url only its host and port are used */
export function rawRequest(url: string, asked: RawRequest): Promise<RawAnswer> {
  const { method = 'GET', path = '/', headers = {}, body, agent = false } = asked;
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const sending = request({ hostname, port, method, path, headers, agent }, (response) => {
      let text = '';
      response.on('data', (data: Buffer) => (text += data.toString()));
      response.once('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
      );
      response.once('error', reject);
    });
    sending.once('error', (error: NodeJS.ErrnoException) => {
      // The server has closed a kept connection just when it was to be used again.
      if (sending.reusedSocket && error.code === 'ECONNRESET') resolve(rawRequest(url, asked));
      else reject(error);
    });
    sending.end(body);
  });
}

/** Sends bytes over a socket of its own, and resolves with everything that came back once the server has closed it. */
export function rawExchange(url: string, bytes: string): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(Number(port), hostname, () => socket.write(bytes, 'latin1'));
    socket.on('data', (data) => (text += data.toString('latin1')));
    socket.once('close', () => resolve(text)).once('error', reject);
  });
}
