// A whole fleet on a Redis Cluster: three queues on three primaries, a primary that is killed, and a slot that moves.
// POPFLEET_CLUSTER_KILLS and POPFLEET_CLUSTER_TASKS say how many of each; `npm run test:cluster` has the long form.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { type ClusterFleet, openClusterFleet } from '../support/cluster-fleet.ts';
import { eventually } from '../support/eventually.ts';
import { expectBelow, msOf } from '../support/expect-below.ts';
import { call, post } from '../support/http.ts';
import { countsOf } from '../support/moves.ts';
import { queueKey } from '../support/queue-key.ts';
import type { TestRedis } from '../support/redis.ts';
import { sendUnderLoad } from '../support/under-load.ts';

const LONG = { timeout: 600_000 };
const KILLS = Number(process.env['POPFLEET_CLUSTER_KILLS'] ?? 1);
const TASKS_IN_SLOT = Number(process.env['POPFLEET_CLUSTER_TASKS'] ?? 500);
const GOES_ON_WITHIN_MS = 5_000;

/** All that a fleet does. */
async function useAll(fleet: ClusterFleet): Promise<void> {
  const { client, server, queues, store, fileOf } = fleet;
  const [first, second, third] = queues;
  const quick = (queue: string) => ({ file: fileOf(queue), ms: 0 });

  // A long poll, events, and what becomes of a task.
  for (const queue of queues) {
    const sent = await post(`${server.url()}/v1/tasks?wait=20`, {
      type: 'journal',
      queue,
      input: quick(queue),
    });
    expect([sent.status, sent.body['state']]).toEqual([200, 'succeeded']);
  }
  const { id: followed } = await client.enqueue(
    'journal',
    { file: fileOf(second), ms: 50 },
    { queue: second },
  );
  const seen: string[] = [];
  for await (const { name, data } of client.events(followed))
    seen.push(`${name} ${(data as { state?: string }).state}`);
  expect(seen.at(-1)).toContain('succeeded');

  // Each of its own primary, over the connection that wrote it.
  for (const queue of queues) {
    const sent = await client.enqueue('journal', quick(queue), { queue, durability: 'replicas' });
    expect(sent.durability).toBe('replicas');
  }

  // Many at once, to all of them.
  const many = Array.from({ length: 90 }, (_, at) => {
    const queue = queues[at % 3] as string;
    return { type: 'journal', queue, input: quick(queue) };
  });
  let accepted = 0;
  for await (const item of client.enqueueMany(many)) if ('id' in item) accepted += 1;
  expect(accepted).toBe(90);

  // One that fails for good, is found, and is retried by an operation.
  const { id: dead } = await client.enqueue(
    'multiply',
    { one: 2 ** 30, two: 4 },
    { queue: third, tags: ['odd'] },
  );
  await expect(client.wait(dead)).resolves.toMatchObject({ state: 'dead' });
  const request = { action: 'retry', filter: { queue: third, state: 'dead' } } as const;
  const { confirm, matched } = await client.operations.match(request);
  expect(matched.value).toBe(1);
  const { id: operation } = await client.operations.start(request, confirm);
  await eventually(async () => (await client.operations.get(operation)).state === 'done');
  await eventually(async () => (await client.get(dead)).state === 'dead');
  const found = [];
  for await (const row of client.list({ queue: third, tag: 'odd' })) found.push(row.id);
  expect(found).toEqual([dead]);
  await client.retry(dead);
  await eventually(async () => (await client.get(dead)).state === 'dead');

  // A delayed one is cancelled, one is deleted, a schedule makes one.
  const { id: later } = await client.enqueue('journal', quick(first), { queue: first, delayMs: 3_600_000 });
  expect((await client.cancel(later)).state).toBe('cancelled');
  await client.remove(later);
  await expect(client.get(later)).rejects.toThrow();
  await client.schedules.put('tidy', {
    cron: '* * * * * *',
    type: 'journal',
    input: quick(second),
    queue: second,
  });
  const before = (await countsOf(store, second))['accepted'] ?? 0;
  await eventually(async () => ((await countsOf(store, second))['accepted'] ?? 0) > before);
  await client.schedules.remove('tidy');

  // Steps over all queues.
  const flow = await post(`${server.url()}/v1/workflows`, {
    tasks: {
      a: { type: 'journal', queue: first, input: quick(first) },
      b: { type: 'journal', queue: second, input: quick(second), needs: ['a'] },
      c: { type: 'journal', queue: third, input: quick(third), needs: ['a', 'b'] },
    },
  });
  await eventually(async () => {
    const { body } = await call(`${server.url()}/v1/workflows/${String(flow.body['id'])}`);
    return body['state'] === 'succeeded';
  });

  // What the dashboard reads.
  expect((await client.queues.list()).map(({ queue }) => queue)).toEqual(expect.arrayContaining([...queues]));
  expect(await client.fleet.workers()).toHaveLength(3);
  const paths = [
    '/v1/system',
    '/v1/scale',
    '/v1/errors',
    '/v1/schedules',
    '/v1/operations',
    '/readyz',
    '/metrics',
  ];
  for (const path of paths)
    expect([path, (await fetch(`${server.url()}${path}`)).status]).toEqual([path, 200]);
  const series = await call(`${server.url()}/v1/series?queue=${first}`);
  expect(series.status).toBe(200);
  await fleet.expectBalanced();
}

async function isPrimary({ client }: TestRedis): Promise<boolean> {
  const [replication, info] = await Promise.all([client.info('replication'), client.call('CLUSTER', 'INFO')]);
  return replication.includes('role:master') && String(info).includes('cluster_state:ok');
}

/** A primary is killed under load: all goes on with its replica. */
async function killPrimaries(fleet: ClusterFleet): Promise<void> {
  const { cluster, queues, factsOf, fileOf, server } = fleet;
  const { accepted, copied, stop } = sendUnderLoad(server.url(), queues, fileOf);
  const pairs = cluster.nodes.map((node, at) => [node, cluster.replicas[at]] as [TestRedis, TestRedis]);
  const times: number[] = [];
  for (let kill = 0; kill < KILLS; kill += 1) {
    const at = kill % 3;
    await expectBelow(GOES_ON_WITHIN_MS, async () => {
      const [primary, replica] = pairs[at] as [TestRedis, TestRedis];
      const from = queues.map((queue) => accepted.get(queue)?.length ?? 0);
      await eventually(() =>
        queues.every((queue, one) => (accepted.get(queue)?.length ?? 0) > (from[one] ?? 0) + 5),
      );
      await primary.signal('SIGKILL');
      await eventually(() => isPrimary(replica));
      const went = await msOf(async () => {
        for (const queue of queues) {
          const facts = factsOf(queue);
          const id = await eventually(async () => {
            const { status, body } = await facts.post(server.url(), 0);
            return status === 202 && String(body['id']);
          });
          await facts.untilSucceeded([id]);
        }
      });
      pairs[at] = [replica, primary];
      await primary.start();
      await cluster.whenWhole();
      times.push(Math.round(went));
      return went;
    });
  }
  await stop();
  await fleet.expectBalanced();
  // Copies may lag behind, so what was accepted just before may be gone; whatever is there has succeeded.
  let lost = 0;
  for (const queue of queues) {
    const ids = accepted.get(queue) ?? [];
    const headers = await fleet.store.hgetall(`${queueKey(queue)}:headers`);
    const there = new Set(Object.keys(headers));
    for (const id of ids) if (there.has(id)) expect(headers[id]).toMatch(/^succeeded /);
    const gone = ids.filter((id) => !there.has(id));
    lost += gone.length;
    expect(gone.filter((id) => copied.has(id))).toEqual([]);
  }
  expect(copied.size).toBeGreaterThan(0);
  process.stdout.write(
    `went on after ${times.join(', ')} ms; ${lost} accepted tasks were lost, none of ${copied.size} that replicas had\n`,
  );
  expect(lost).toBeLessThan(50 * KILLS);
}

/** A slot moves while its tasks run: none is lost, and none runs twice. */
async function moveSlot({ cluster, client, queues, store, factsOf, fileOf }: ClusterFleet): Promise<void> {
  const [queue] = queues;
  const before = Number((await countsOf(store, queue))['succeeded'] ?? 0);
  const input = { file: fileOf(queue), ms: 0 };
  const tasks = Array.from({ length: TASKS_IN_SLOT }, () => ({ type: 'journal', queue, input }));
  const ids = new Set<string>();
  // None of them has run when the slot begins to move.
  await client.queues.pause(queue);
  for await (const item of client.enqueueMany(tasks)) if ('id' in item) ids.add(item.id);
  expect(ids.size).toBe(TASKS_IN_SLOT);

  const { slot, owner, other } = await cluster.slotOf(queueKey(queue));
  await client.queues.resume(queue);
  const movedMs = await msOf(() => cluster.move(slot, owner, other));
  const succeeded = async (): Promise<number> => Number((await countsOf(store, queue))['succeeded']) - before;
  const then = await eventually(succeeded);
  const goesOn = async (): Promise<boolean> => then === TASKS_IN_SLOT || (await succeeded()) > then;
  const stoppedMs = await msOf(() => eventually(goesOn));
  process.stdout.write(
    `the slot moved in ${Math.round(movedMs)} ms; ${then} tasks had run, and ${Math.round(stoppedMs)} ms later others did\n`,
  );
  await factsOf(queue).whenQuiet(600_000);
  expect(await succeeded()).toBe(TASKS_IN_SLOT);
  const begun = readFileSync(fileOf(queue), 'utf8')
    .split('\n')
    .filter((line) => line.endsWith(' began'));
  const runs = begun.map((line) => line.slice(0, 36)).filter((id) => ids.has(id));
  expect([runs.length, new Set(runs).size]).toEqual([TASKS_IN_SLOT, TASKS_IN_SLOT]);
  // Back to where the others look for it.
  await cluster.move(slot, other, owner);
}

test(
  `three queues on three primaries: all works, ${TASKS_IN_SLOT} tasks move with their slot, ${KILLS} primaries are killed`,
  LONG,
  async (context) => {
    const fleet = await openClusterFleet(context, {
      HEARTBEAT_MS: '500',
      LEASE_MS: '5000',
      QUEUE_LIMIT: '0',
      RETENTION_BYTES: '0',
      TASK_DURATION_MS: '1',
    });
    await useAll(fleet);
    await moveSlot(fleet);
    await fleet.expectBalanced();
    await killPrimaries(fleet);
  },
);
