// The unix socket of an embedded Redis: its path, and whether a Redis answers there.

import { createHash } from 'node:crypto';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/** `sun_path` of unix(7) has 108 bytes, one of them the end mark. */
const LONGEST_SOCKET_PATH = 107;
const PING_WITHIN_MS = 1_000;

/** Path of the socket for a data folder; for a folder with a long path it is in the temporary folder. */
export function socketPath(dataDir: string): string {
  const near = join(resolve(dataDir), 'redis.sock');
  if (Buffer.byteLength(near) <= LONGEST_SOCKET_PATH) return near;
  const digest = createHash('sha256').update(near).digest('hex').slice(0, 16);
  return join(tmpdir(), `popfleet-${digest}.sock`);
}

/** True when a program listens on the socket; false for a file that a killed process has left behind. */
export function isListening(socket: string): Promise<boolean> {
  return new Promise((done) => {
    const probe = createConnection(socket);
    const end = (answer: boolean) => (): void => {
      probe.destroy();
      done(answer);
    };
    probe.once('connect', end(true)).once('error', end(false));
  });
}

/** The answer of Redis to `PING`; empty without one. */
export function ping(socket: string): Promise<string> {
  return new Promise((done) => {
    const probe = createConnection(socket, () => probe.write('PING\r\n'));
    const end = (answer = '') => {
      probe.destroy();
      done(answer);
    };
    probe.once('data', (answer) => end(answer.toString()));
    probe
      .setTimeout(PING_WITHIN_MS, end)
      .once('error', () => end())
      .once('close', () => end());
  });
}

/** Sends the Redis on the socket the command to write its file and end. */
export function shutDown(socket: string): void {
  const connection = createConnection(socket);
  connection.on('error', () => undefined); // Redis ends already.
  connection.end('SHUTDOWN\r\n');
}
