// A reverse proxy that has a server under a path, as nginx does it with `location /tasks/ { proxy_pass … }`.

import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface PathProxy {
  /** Of the proxy, with the path and without a slash at the end. */
  readonly url: string;
  close(): Promise<void>;
}

/**
 * @param prefix such as `/tasks`; everything else is answered 404
 * @param strips whether the server sees the path without the prefix
 */
export async function startPathProxy(target: string, prefix: string, strips: boolean): Promise<PathProxy> {
  const http = createServer((incoming, outgoing) => {
    const { url = '', method, headers } = incoming;
    if (!url.startsWith(`${prefix}/`)) {
      outgoing.writeHead(404).end('outside');
      return;
    }
    const path = strips ? url.slice(prefix.length) : url;
    const onward = request(`${target}${path}`, { method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    onward.on('error', () => outgoing.destroy());
    outgoing.on('close', () => onward.destroy());
    incoming.pipe(onward);
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}${prefix}`,
    close() {
      const closed = new Promise<void>((resolve) => http.close(() => resolve()));
      http.closeAllConnections();
      return closed;
    },
  };
}
