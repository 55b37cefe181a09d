// What stands for one Redis when POPFLEET_TOPOLOGY says so: a cluster of six nodes, or a primary and a replica behind Sentinels.
// `signal`, `start`, `port` and `pid` are those of the node that has the queue `default` at the start.

import { startCluster } from './cluster.ts';
import { type RedisProxy, startProxy } from './proxy.ts';
import { queueKey } from './queue-key.ts';
import { startRedisServer, type TestRedis } from './redis.ts';
import { follow, startSentinels } from './sentinels.ts';
import { openStore } from './store.ts';

type Settings = Record<string, string>;
/** Milliseconds: no test of faults is long enough for a fail-over, which has tests of its own and loses what was not copied. */
const GONE_AFTER_MS = '120000';

/** @param settings further options of redis.conf of each server */
export async function startTopology(topology: string, settings: Settings): Promise<TestRedis> {
  if (topology === 'cluster') return startClusterAsOne(settings);
  if (topology === 'sentinel') return startSentinelsAsOne(settings);
  throw new Error(`POPFLEET_TOPOLOGY: "${topology}" is none of cluster and sentinel`);
}

async function startClusterAsOne(settings: Settings): Promise<TestRedis> {
  const cluster = await startCluster(3, { hasReplicas: true, redis: { appendonly: 'yes', ...settings } });
  for (const { client } of [...cluster.nodes, ...cluster.replicas]) {
    await client.config('SET', 'cluster-node-timeout', GONE_AFTER_MS);
  }
  const client = await openStore(cluster.url);
  const proxies: RedisProxy[] = [];
  async function nodeOf(queue: string): Promise<TestRedis> {
    const { owner } = await cluster.slotOf(queueKey(queue));
    return {
      ...owner,
      // Any node tells where all are: those that are not meant have proxies too.
      async wayTo(port) {
        const ports = new Map([[owner.port, port]]);
        const way = { url: `redis+cluster://127.0.0.1:${port}`, ports };
        for (const node of cluster.nodes.filter((one) => one !== owner)) {
          const proxy = await startProxy(node.port, async () => way);
          proxies.push(proxy);
          ports.set(node.port, proxy.port);
        }
        return way;
      },
    };
  }
  return {
    ...(await nodeOf('default')),
    url: cluster.url,
    client,
    nodeOf,
    async stop() {
      client.disconnect();
      for (const proxy of proxies) await proxy.close();
      await cluster.stop();
    },
  };
}

async function startSentinelsAsOne(settings: Settings): Promise<TestRedis> {
  const own = { 'repl-diskless-sync-delay': '0', ...settings };
  const [primary, replica] = await Promise.all([startRedisServer(own), startRedisServer(own)]);
  await follow(replica, primary);
  const sentinels = await startSentinels(primary, GONE_AFTER_MS);
  await sentinels.whenReady(1);
  const client = await openStore(sentinels.url);
  return {
    ...primary,
    url: sentinels.url,
    client,
    wayTo: async (port) => ({ url: await sentinels.watch(port) }),
    async stop() {
      client.disconnect();
      await sentinels.stop();
      await Promise.all([primary.stop(), replica.stop()]);
    },
  };
}
