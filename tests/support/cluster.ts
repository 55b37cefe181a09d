// A Redis Cluster of the test's own, and how a slot of it is moved: step by step, as `redis-cli --cluster reshard` does it.

import type { Redis } from 'ioredis';
import { eventually } from './eventually.ts';
import { startRedisServer, type TestRedis } from './redis.ts';

const SLOTS = 16_384;
const MIGRATE_TIMEOUT_MS = 10_000;

export interface TestCluster {
  /** What `REDIS_URL` takes. */
  readonly url: string;
  /** The primaries, as they are at the start. */
  readonly nodes: readonly TestRedis[];
  /** The replicas, in the order of their primaries. */
  readonly replicas: readonly TestRedis[];
  /** Resolves when the cluster serves all slots and every replica has all of its primary. */
  whenWhole(): Promise<void>;
  /** A slot, the node that serves it from the start, and one that does not. */
  slotOf(
    key: string,
  ): Promise<{ readonly slot: number; readonly owner: TestRedis; readonly other: TestRedis }>;
  /**
   * Moves a slot with all its keys, one after the other.
   * @param between runs while the slot is open: before the first key, and after each one
   */
  move(slot: number, from: TestRedis, to: TestRedis, between?: () => Promise<void>): Promise<void>;
  stop(): Promise<void>;
}

interface ClusterSettings {
  /** Whether each primary has a replica. */
  readonly hasReplicas?: boolean;
  /** Further options of redis.conf of each node. */
  readonly redis?: Record<string, string>;
}

/** @param size how many primaries it has */
export async function startCluster(
  size: number,
  { hasReplicas = false, redis = {} }: ClusterSettings = {},
): Promise<TestCluster> {
  const nodes: TestRedis[] = [];
  const replicas: TestRedis[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all([...nodes, ...replicas].map((node) => node.stop()));
  };
  const settings = { appendonly: 'no', 'cluster-enabled': 'yes', 'repl-diskless-sync-delay': '0', ...redis };
  try {
    for (let at = 0; at < size; at += 1) {
      nodes.push(await startRedisServer(settings));
      if (hasReplicas) replicas.push(await startRedisServer(settings));
    }
    await join(nodes, replicas);
  } catch (error) {
    await stop();
    throw error;
  }
  const ids = new Map<TestRedis, string>();
  for (const node of nodes) ids.set(node, await node.client.cluster('MYID'));

  const all = [...nodes, ...replicas];
  return {
    url: `${redis['tls-cluster'] === 'yes' ? 'rediss' : 'redis'}+cluster://${nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')}`,
    nodes,
    replicas,
    whenWhole: () => whenWhole(all),
    async slotOf(key) {
      const slot = Number(await nodes[0]?.client.cluster('KEYSLOT', key));
      const owner = nodes[Math.floor((slot * nodes.length) / SLOTS)];
      const other = nodes.find((node) => node !== owner);
      if (!owner || !other) throw new Error(`nobody serves slot ${slot}`);
      return { slot, owner, other };
    },

    async move(slot, from, to, between = async () => undefined) {
      await setSlot(to.client, slot, 'IMPORTING', ids.get(from));
      await setSlot(from.client, slot, 'MIGRATING', ids.get(to));
      await between();
      for (;;) {
        const [key] = (await from.client.call('CLUSTER', 'GETKEYSINSLOT', slot, 1)) as string[];
        if (key === undefined) break;
        await from.client.migrate('127.0.0.1', to.port, '', 0, MIGRATE_TIMEOUT_MS, 'KEYS', key);
        await between();
      }
      // In this order, so that at no moment nobody serves it.
      const others = nodes.filter((node) => node !== from && node !== to);
      for (const node of [to, from, ...others]) await setSlot(node.client, slot, 'NODE', ids.get(to));
    },

    stop,
  };
}

async function setSlot(client: Redis, slot: number, how: string, node = ''): Promise<void> {
  await client.call('CLUSTER', 'SETSLOT', slot, how, node);
}

/** Each primary gets an even share of the slots, and a replica when there are some; ends when all of them serve. */
async function join(nodes: readonly TestRedis[], replicas: readonly TestRedis[]): Promise<void> {
  for (const [at, { client }] of nodes.entries()) {
    const begin = Math.ceil((SLOTS * at) / nodes.length);
    const end = Math.ceil((SLOTS * (at + 1)) / nodes.length);
    const slots = Array.from({ length: end - begin }, (_, more) => begin + more);
    await client.call('CLUSTER', 'ADDSLOTS', ...slots);
    await client.call('CLUSTER', 'SET-CONFIG-EPOCH', at + 1);
  }
  const all = [...nodes, ...replicas];
  const [first, ...others] = all;
  for (const { port } of others) await first?.client.call('CLUSTER', 'MEET', '127.0.0.1', port);
  for (const { client } of all) {
    await eventually(async () => {
      const info = (await client.call('CLUSTER', 'INFO')) as string;
      return info.includes(`cluster_known_nodes:${all.length}`);
    });
  }
  for (const [at, { client }] of replicas.entries()) {
    const primary = await nodes[at]?.client.cluster('MYID');
    await eventually(async () => (await client.call('CLUSTER', 'REPLICATE', String(primary))) === 'OK');
  }
  await whenWhole(all);
}

async function whenWhole(nodes: readonly TestRedis[]): Promise<void> {
  for (const { client } of nodes) {
    await eventually(async () => {
      const info = (await client.call('CLUSTER', 'INFO')) as string;
      const replication = await client.info('replication');
      const isCopied = replication.includes('role:master') || replication.includes('master_link_status:up');
      return info.includes('cluster_state:ok') && isCopied;
    });
  }
}
