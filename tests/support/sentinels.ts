// Three Sentinels of the test's own, which watch a primary and make a replica the primary when that one is gone.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { eventually } from './eventually.ts';
import { freePort, type TestRedis } from './redis.ts';
import type { Stage } from './stage.ts';

/** What the Sentinels call the primary. */
export const PRIMARY_NAME = 'tasks';
const COUNT = 3;
const QUORUM = 2;
/** Milliseconds, longer than any test. */
const NEVER_MS = '86400000';

export interface TestSentinels {
  /** What `REDIS_URL` takes. */
  readonly url: string;
  /**
   * Port of the primary; `undefined` as long as they do not all say the same. One that has not heard of a fail-over takes the primary
   * of before, once it is a replica, for one that has to be replaced again.
   */
  primaryPort(): Promise<number | undefined>;
  /**
   * Has them watch what answers at another port, under another name; they never take it for gone.
   * @returns what `REDIS_URL` takes
   */
  watch(port: number): Promise<string>;
  /** Resolves when all of them know each other and the replicas of the primary. */
  whenReady(replicas: number): Promise<void>;
  stop(): Promise<void>;
}

/**
 * @param primary watched
 * @param goneAfterMs it is gone when it has not answered for so long
 */
export async function startSentinels(primary: TestRedis, goneAfterMs = '500'): Promise<TestSentinels> {
  const dir = mkdtempSync(join(tmpdir(), 'popfleet-test-'));
  const processes: ChildProcess[] = [];
  const clients: Redis[] = [];
  const ports: number[] = [];
  for (let at = 0; at < COUNT; at += 1) {
    const port = await freePort();
    const file = join(dir, `${port}.conf`);
    writeFileSync(
      file,
      `port ${port}
bind 127.0.0.1
dir ${dir}
sentinel monitor ${PRIMARY_NAME} 127.0.0.1 ${primary.port} ${QUORUM}
sentinel down-after-milliseconds ${PRIMARY_NAME} ${goneAfterMs}
sentinel failover-timeout ${PRIMARY_NAME} 3000
`,
    );
    ports.push(port);
    processes.push(spawn('redis-server', [file, '--sentinel'], { stdio: 'ignore' }));
    const client = new Redis(port, '127.0.0.1', { retryStrategy: () => 50, disableClientInfo: true });
    client.on('error', () => undefined);
    clients.push(client);
  }
  const ask = (client: Redis, ...words: string[]): Promise<unknown> => client.call('SENTINEL', ...words);

  const hosts = ports.map((port) => `127.0.0.1:${port}`).join(',');

  return {
    url: `redis+sentinel://${hosts}/${PRIMARY_NAME}`,

    async watch(port) {
      const name = `at-${port}`;
      for (const client of clients) {
        await ask(client, 'MONITOR', name, '127.0.0.1', String(port), String(QUORUM));
        for (const limit of ['down-after-milliseconds', 'failover-timeout']) {
          await ask(client, 'SET', name, limit, NEVER_MS);
        }
      }
      return `redis+sentinel://${hosts}/${name}`;
    },

    async primaryPort() {
      const said = await Promise.all(
        clients.map(async (client) => {
          const [, port] = (await ask(client, 'get-master-addr-by-name', PRIMARY_NAME)) as string[];
          return Number(port);
        }),
      );
      return said.every((port) => port === said[0]) ? said[0] : undefined;
    },

    async whenReady(replicas) {
      for (const client of clients) {
        await eventually(async () => {
          const ended = processes.findIndex(({ exitCode }) => exitCode !== null);
          if (ended >= 0) throw new Error(`the Sentinel at port ${ports[ended]} has ended`);
          const others = (await ask(client, 'sentinels', PRIMARY_NAME)) as string[][];
          const copies = (await ask(client, 'replicas', PRIMARY_NAME)) as string[][];
          const isUp = (one: string[]): boolean => one[one.indexOf('flags') + 1] === 'slave';
          return others.length === COUNT - 1 && copies.filter(isUp).length === replicas;
        });
      }
    },

    async stop() {
      for (const client of clients) client.disconnect();
      for (const child of processes) {
        if (child.exitCode !== null) continue;
        const gone = once(child, 'exit');
        child.kill('SIGKILL');
        await gone;
      }
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

export interface SentinelPair {
  readonly sentinels: TestSentinels;
  readonly primary: TestRedis;
  readonly replica: TestRedis;
}

/** @param settings further options of redis.conf of both servers */
export async function openSentinelPair(
  stage: Stage,
  settings: Record<string, string> = {},
): Promise<SentinelPair> {
  const all = { 'repl-diskless-sync-delay': '0', ...settings };
  const [primary, replica] = await Promise.all([stage.redis(all), stage.redis(all)]);
  await follow(replica, primary);
  const sentinels = await startSentinels(primary);
  stage.atEnd(sentinels.stop);
  await sentinels.whenReady(1);
  return { sentinels, primary, replica };
}

/** Makes `replica` a copy of `primary`, and waits until it has all of it. */
export async function follow(replica: TestRedis, primary: TestRedis): Promise<void> {
  await replica.client.call('REPLICAOF', '127.0.0.1', String(primary.port));
  await whenCopied(replica);
}

/** Waits until `replica` has all of its primary. */
export async function whenCopied(replica: TestRedis): Promise<void> {
  await eventually(async () => (await replica.client.info('replication')).includes('master_link_status:up'));
}
