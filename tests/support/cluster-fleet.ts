// A cluster with a server and a worker for three queues, one on each of its primaries.

import { expect } from 'vitest';
import type { TestContext } from 'vitest';
import type { Redis } from 'ioredis';
import { Popfleet } from '../../src/client/popfleet.ts';
import { startCluster, type TestCluster } from './cluster.ts';
import { queueKey } from './queue-key.ts';
import { JOURNAL_TASKS, openQueueFacts, type QueueFacts } from './queue-facts.ts';
import { openStage, type Stage } from './stage.ts';
import type { RoleHere } from './start-here.ts';
import { openStore } from './store.ts';
import { expectBalanced } from './moves.ts';

/** How soon a node that is gone is replaced: its silence for so long, and then some. */
const NODE_TIMEOUT_MS = '1000';

export interface ClusterFleet {
  readonly stage: Stage;
  readonly cluster: TestCluster;
  /** A client of the whole cluster. */
  readonly store: Redis;
  readonly server: RoleHere;
  readonly client: Popfleet;
  /** In the order of the primaries that serve them. */
  readonly queues: readonly [string, string, string];
  /** The file in which the journal tasks of a queue write. */
  fileOf(queue: string): string;
  factsOf(queue: string): QueueFacts;
  /** Waits until nothing is left to do in any queue, and expects that all is accounted for. */
  expectBalanced(): Promise<void>;
}

/**
 * @param env of both roles
 * @param primaries 3, or 1: then this one serves all three queues
 */
export async function openClusterFleet(
  context: TestContext,
  env: Readonly<Record<string, string>> = {},
  primaries = 3,
): Promise<ClusterFleet> {
  const stage = openStage(context);
  const cluster = await startCluster(primaries, {
    hasReplicas: true,
    redis: { 'cluster-node-timeout': NODE_TIMEOUT_MS, 'cluster-allow-replica-migration': 'no' },
  });
  stage.atEnd(cluster.stop);
  const store = await openStore(cluster.url);
  stage.atEnd(async () => store.disconnect());
  const queues = await queuesOf(cluster);
  const all = { ...JOURNAL_TASKS, REDIS_URL: cluster.url, QUEUES: queues.join(), CONCURRENCY: '4', ...env };
  const [server] = await Promise.all([stage.here('server', all), stage.here('worker', all)]);
  const dir = cluster.nodes[0]?.dir ?? '';
  const facts = new Map(queues.map((queue) => [queue, openQueueFacts({ client: store, dir }, queue)]));
  return {
    stage,
    cluster,
    store,
    server,
    client: new Popfleet({ url: server.url() }),
    queues,
    fileOf: (queue) => `${dir}/${queue}.journal`,
    factsOf: (queue) => facts.get(queue) as QueueFacts,
    async expectBalanced() {
      for (const queue of queues) {
        await facts.get(queue)?.whenQuiet();
        await expectBalanced(store, queue);
      }
    },
  };
}

/** A name of a queue for each primary. */
export async function queuesOf(cluster: TestCluster): Promise<[string, string, string]> {
  if (cluster.nodes.length === 1) return ['queue-0', 'queue-1', 'queue-2'];
  const names = new Map<number, string>();
  for (let at = 0; names.size < 3; at += 1) {
    const name = `queue-${at}`;
    const { owner } = await cluster.slotOf(queueKey(name));
    names.set(owner.port, names.get(owner.port) ?? name);
  }
  const found = cluster.nodes.map(({ port }) => names.get(port) ?? '');
  expect(found).not.toContain('');
  return found as [string, string, string];
}
