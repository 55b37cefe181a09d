// A real redis-server of the test's own, on a unix socket or a port in a folder of its own.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { eventually } from './eventually.ts';
import type { WayToProxy } from './proxy.ts';

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
  /** How clients find it by way of a proxy that listens on a port; without it, at `redis://` of that port. */
  wayTo?(port: number): Promise<WayToProxy>;
  /** Of a cluster: the node that has a queue at the start. */
  nodeOf?(queue: string): Promise<TestRedis>;
}

/**
 * One server; with POPFLEET_TOPOLOGY (`cluster`, `sentinel`) what stands for one, as `topology.ts` says.
 * @param settings further options of redis.conf, such as `{ maxmemory: '8mb' }`
 */
export async function startRedis(settings: Record<string, string> = {}): Promise<TestRedis> {
  const topology = process.env['POPFLEET_TOPOLOGY'];
  if (!topology) return startRedisServer(settings);
  const { startTopology } = await import('./topology.ts');
  return startTopology(topology, settings);
}

/** One server, whatever the topology. */
export async function startRedisServer(settings: Record<string, string> = {}): Promise<TestRedis> {
  const dir = mkdtempSync(join(tmpdir(), 'popfleet-test-'));
  const port = await freePort();
  // A node of a cluster over TLS has no other port: it is the one that it tells the others, and clients.
  const isTls = settings['tls-cluster'] === 'yes';
  const ports = isTls ? { port: '0', 'tls-port': String(port) } : { port: String(port) };
  const options = {
    ...ports,
    bind: '127.0.0.1',
    unixsocket: join(dir, 'redis.sock'),
    dir,
    appendonly: 'yes',
    // What is written outlives a killed process without it, and a busy disk would hold up Redis and all that wait for it.
    appendfsync: 'no',
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
    // A server is there soon; one that is away may be so for long.
    retryStrategy: (times) => Math.min(5 * times, 50),
    disableClientInfo: true,
  });
  client.on('error', () => undefined);
  await start();
  return {
    url: `${isTls ? 'rediss' : 'redis'}://127.0.0.1:${port}`,
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

/**
 * Ports of the tests: below those that the kernel gives to connections and to who listens on port 0 (32,768 and up on
 * Linux), so that nothing takes one between its choice and its use. Each of vitest's workers has a part of its own.
 * A node of a cluster listens for the others at a port that is higher by 10,000, which is below them too.
 */
const PORTS_FROM = 10_000;
const PORTS_OF_A_WORKER = 1_250;
const WORKERS = 8;
let next = Math.floor(Math.random() * PORTS_OF_A_WORKER);

/** A port that nobody listens on just now, and that no other test is given. */
export async function freePort(): Promise<number> {
  const part = Number(process.env['VITEST_POOL_ID'] ?? 0) % WORKERS;
  for (;;) {
    const port = PORTS_FROM + part * PORTS_OF_A_WORKER + next;
    next = (next + 1) % PORTS_OF_A_WORKER;
    if (await isFree(port)) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
