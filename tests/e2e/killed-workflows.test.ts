// Workflows whose workers and servers are killed every second: all end, no step has run before what it needs, and nothing is left over.
// POPFLEET_FLOW_KILLS sets how many; `npm run test:flow-kills` takes a thousand of twenty steps each.

import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { ApiError, Popfleet, type WorkflowView } from '../../src/client/client.ts';
import { eventually } from '../support/eventually.ts';
import type { RoleProcess } from '../support/fleet.ts';
import { countsOf, expectBalanced } from '../support/moves.ts';
import { openStage } from '../support/stage.ts';

const GIVEN = process.env['POPFLEET_FLOW_KILLS'];
const FLOWS = Number(GIVEN ?? 10);
const STEPS = 20;
const KILLS = GIVEN === undefined ? 2 : Number.POSITIVE_INFINITY;
const TASKS = fileURLToPath(new URL('../fixtures/noop.mjs', import.meta.url));
const SHORT = { LEASE_MS: '1500', HEARTBEAT_MS: '250', POP_GRACE_MS: '300', CONCURRENCY: '4' };
const QUEUES = ['default', 'side'];
/** A workflow whose server was killed before its commit is taken back after a minute. */
const TAKEN_BACK_MS = 90_000;

/** Steps that need up to two others, over two queues. */
function tasksOf(seed: number): Record<string, object> {
  return Object.fromEntries(
    Array.from({ length: STEPS }, (_, at) => {
      const needs = new Set([at - 1 - ((seed + at) % 3), at - 1 - ((seed * 7 + at) % 5)]);
      const names = [...needs].filter((need) => need >= 0).map((need) => `s${need}`);
      return [`s${at}`, { type: 'noop', input: at, needs: names, queue: QUEUES[(seed + at) % 2] }];
    }),
  );
}

/** What each step needs has succeeded before it began, and it has found that. */
function expectInOrder({ steps }: WorkflowView): void {
  const byName = new Map(steps.map((step) => [step.step, step]));
  for (const { needs, startedAt = '', result } of steps) {
    expect((result as string[]).toSorted()).toEqual(needs.map((need) => `${need} succeeded`).sort());
    for (const need of needs) expect((byName.get(need)?.finishedAt ?? 'z') <= startedAt).toBe(true);
  }
}

test(`${FLOWS} workflows of ${STEPS} steps, while workers and servers are killed`, {
  timeout: 600_000,
}, async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  await redis.client.sadd('pf:queues', ...QUEUES);
  const env = { ...SHORT, TASKS, REDIS_URL: redis.url, QUEUES: QUEUES.join(',') };
  const servers: RoleProcess[] = [await stage.role('server', env)];
  const workers: RoleProcess[] = [stage.spawn('worker', env), stage.spawn('worker', env)];
  /** Repeats a call, of whichever server lives, until it is answered. */
  async function ask<Answer>(call: (client: Popfleet) => Promise<Answer>): Promise<Answer> {
    return eventually(async () => {
      const client = new Popfleet({ url: servers.at(-1)?.url() ?? '', retries: 0 });
      return call(client).catch((error: unknown) => {
        if (error instanceof ApiError || error instanceof TypeError) return false as const;
        throw error;
      });
    }, TAKEN_BACK_MS) as Promise<Answer>;
  }

  let isOver = false;
  let kills = 0;
  async function kill(): Promise<void> {
    while (!isOver && kills < KILLS) {
      await sleep(1_000);
      kills += 1;
      const isServer = kills % 3 === 0 || (GIVEN === undefined && kills === KILLS);
      const [all, role] = isServer ? ([servers, 'server'] as const) : ([workers, 'worker'] as const);
      const victim = all.shift();
      victim?.signal('SIGKILL');
      await victim?.exited;
      const next = stage.spawn(role, env);
      all.push(next);
      if (isServer) await eventually(() => next.url().startsWith('http'), 60_000);
    }
  }

  async function run(seed: number): Promise<number> {
    for (let tries = 1; ; tries += 1) {
      const key = `flow-${seed}-${tries}`;
      const { id } = await ask((client) => client.workflows.start({ key, tasks: tasksOf(seed) as never }));
      const ended = await ask((client) => client.workflows.wait(id, { timeoutMs: TAKEN_BACK_MS }));
      // One whose server died before its commit, and none of whose steps has begun.
      if (ended.state === 'cancelled' && ended.startedAt === undefined) continue;
      expect([id, ended.state, ended.counts.succeeded]).toEqual([id, 'succeeded', STEPS]);
      expectInOrder(ended);
      return tries;
    }
  }

  const begun = performance.now();
  const killing = kill();
  const seeds = Array.from({ length: FLOWS }, (_, at) => at);
  const tries: number[] = [];
  const lanes = Array.from({ length: Math.min(50, FLOWS) }, async () => {
    for (let seed = seeds.pop(); seed !== undefined; seed = seeds.pop()) tries.push(await run(seed));
  });
  await Promise.all(lanes);
  const seconds = Math.round((performance.now() - begun) / 1_000);
  isOver = true;
  await killing;
  const takenBack = tries.reduce((sum, one) => sum + one - 1, 0);
  console.info('killed workflows', { flows: FLOWS, steps: FLOWS * STEPS, kills, seconds, takenBack });
  for (const queue of QUEUES) {
    await eventually(async () => (await redis.client.hlen(`pf:{${queue}}:outbox`)) === 0, 60_000);
    const counts = await countsOf(redis.client, queue);
    expect([counts['waiting'] ?? 0, counts['ready'] ?? 0, counts['dead'] ?? 0]).toEqual([0, 0, 0]);
    await expectBalanced(redis.client, queue);
  }
});
