// A real redis-server of the test's own, on a unix socket or a port in a folder of its own.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { eventually } from './eventually.ts';

export interface TestRedis {
  /** What `REDIS_URL` takes. */
  readonly url: string;
  readonly port: number;
  readonly dir: string;
  pid(): number;
  /** A client that is closed with the server. */
  readonly client: Redis;
  /** Sends a signal; after SIGKILL or SIGTERM waits until the process is gone. */
  signal(signal: NodeJS.Signals): Promise<void>;
  /** Starts it again in the same folder, so that its append-only file is loaded. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** @param settings further options of redis.conf, such as `{ maxmemory: '8mb' }` */
export async function startRedis(settings: Record<string, string> = {}): Promise<TestRedis> {
  const dir = mkdtempSync(join(tmpdir(), 'popfleet-test-'));
  const port = await (settings['cluster-enabled'] === 'yes' ? freeNodePort() : freePort());
  const options = {
    port: String(port),
    bind: '127.0.0.1',
    unixsocket: join(dir, 'redis.sock'),
    dir,
    appendonly: 'yes',
    save: '',
    'maxmemory-policy': 'noeviction',
    ...settings,
  };
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
  let child: ChildProcess;

  async function start(): Promise<void> {
    child = spawn('redis-server', args, { stdio: 'ignore' });
    await once(child, 'spawn');
    await eventually(async () => (await client.ping()) === 'PONG');
  }

  async function signal(name: NodeJS.Signals): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    child.kill(name);
    if (name === 'SIGKILL' || name === 'SIGTERM') await gone;
  }

  const client = new Redis(options.unixsocket, {
    maxRetriesPerRequest: 0,
    retryStrategy: () => 50,
    disableClientInfo: true,
  });
  client.on('error', () => undefined);
  await start();
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    dir,
    pid: () => child.pid ?? 0,
    client,
    signal,
    start,
    async stop() {
      client.disconnect();
      await signal('SIGKILL');
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** A port that nobody listens on just now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new TypeError('no port');
  return address.port;
}

/** A port whose node of a cluster can listen for the others: it does so at a port that is higher by 10,000. */
async function freeNodePort(): Promise<number> {
  for (;;) {
    const port = await freePort();
    if (port + 10_000 < 65_536) return port;
  }
}
