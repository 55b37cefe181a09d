// Begins to listen, and says in words of the settings why that fails.

import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PopfleetError } from '../protocol/errors.ts';

/**
 * @param port 0 = any free one
 * @param variable of the setting of the port
 * @throws PopfleetError `bad-config` that says what to change
 */
export function listen(http: Server, port: number, host: string, variable = 'PORT'): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => {
      reject(new PopfleetError('bad-config', listenFault(error, port, host, variable), { cause: error }));
    };
    http.once('error', onError);
    http.listen(port, host, () => {
      http.off('error', onError);
      resolve();
    });
  });
}

function listenFault(
  { code = '', message }: NodeJS.ErrnoException,
  port: number,
  host: string,
  variable: string,
): string {
  switch (code) {
    case 'EADDRINUSE':
      return `${variable}: another program listens on port ${port} of ${host}: stop it, or set ${variable} to a free one${variable === 'PORT' ? ' (0 = any)' : ''}`;
    case 'EACCES':
      return `${variable}: this user may not listen on port ${port}: set ${variable} to one from 1024 on`;
    case 'EADDRNOTAVAIL':
      return `HOST: ${host} is no address of this machine`;
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `HOST: no address is known for ${host}`;
    default:
      return `HOST, ${variable}: cannot listen on port ${port} of ${host}: ${message}`;
  }
}

/** Of a server that listens. */
export function urlOf(http: Server): string {
  const { address, port, family } = http.address() as AddressInfo;
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}
