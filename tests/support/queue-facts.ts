// Sends tasks that write down their runs, and reads from Redis what became of them.

import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Redis } from 'ioredis';
import { expect } from 'vitest';
import { queueKey } from './queue-key.ts';
import type { TaskRecord } from '../../src/store/record.ts';
import { eventually } from './eventually.ts';
import { countsOf } from './moves.ts';
import { type Answer, post } from './http.ts';
import { recordOf } from './records.ts';
import type { TestRedis } from './redis.ts';
import { keysLike } from './servers-of.ts';

/** The setting that makes a role know the task type "journal". */
export const JOURNAL_TASKS = { TASKS: fileURLToPath(new URL('journal-task.mjs', import.meta.url)) };

export interface QueueFacts {
  /** Sends one journal task that takes `ms`; whatever the server answers. */
  post(serverUrl: string, ms: number): Promise<Answer>;
  /** Sends `count` of them at the same time, and answers their ids when all of them were accepted. */
  send(serverUrl: string, count: number, ms: number): Promise<string[]>;
  task(id: string): Promise<TaskRecord>;
  /** Resolves once so many of the tasks have begun to run for the first time. */
  untilBegun(ids: readonly string[], count?: number): Promise<void>;
  untilSucceeded(ids: readonly string[], withinMs?: number): Promise<TaskRecord[]>;
  /** How often the handler began to run for a task. */
  runs(id: string): number;
  /** How many tasks the count hash counts in each state. */
  counts(): Promise<Record<string, number>>;
  /** Messages that wait, in all lanes. */
  ready(): Promise<number>;
  /** When the queue was last swept, by the clock of Redis. */
  sweptAtMs(): Promise<number>;
  /** Resolves once no task waits or runs. */
  whenQuiet(withinMs?: number): Promise<void>;
  /** Names of the workers with a lease. */
  workers(): Promise<string[]>;
  /** Ids of what a worker holds, as Redis sees it. */
  heldBy(worker: string): Promise<string[]>;
  /**
   * Waits until nothing is left to do, and then expects that exactly these tasks were accepted (and at most `unknown`
   * others), that each has succeeded and was recorded so exactly once, that every run of a handler is explained by a
   * claim, and that nothing is left over.
   */
  expectAllDone(ids: readonly string[], patience?: Patience): Promise<void>;
}

interface Patience {
  readonly withinMs?: number;
  /** POSTs that were refused although Redis may have accepted the task: each may be there once. */
  readonly unknown?: number;
}

/** @param queue has to be the test's own */
export function openQueueFacts(redis: Pick<TestRedis, 'client' | 'dir'>, queue = 'default'): QueueFacts {
  const client = redis.client;
  const key = queueKey(queue);
  const file = join(redis.dir, `${queue}.journal`);
  appendFileSync(file, '');

  const postTask = (serverUrl: string, ms: number): Promise<Answer> =>
    post(`${serverUrl}/v1/tasks`, { type: 'journal', queue, input: { file, ms } });
  const runs = (id: string): number => linesOf(file).filter((line) => line === `${id} 1 began`).length;

  async function task(id: string): Promise<TaskRecord> {
    const record = await recordOf(client, queue, id);
    if (!record) throw new Error(`no record of ${id}`);
    return record;
  }

  async function counts(): Promise<Record<string, number>> {
    const { bytes: _, ...tasks } = await countsOf(client, queue);
    return tasks;
  }

  function untilSucceeded(ids: readonly string[], withinMs?: number): Promise<TaskRecord[]> {
    return eventually(async () => {
      const records = await Promise.all(ids.map(task));
      const others = records.filter(({ state }) => state !== 'succeeded');
      expect(others.map(({ id, state, claims }) => ({ id, state, claims }))).toEqual([]);
      return records;
    }, withinMs);
  }

  async function expectAllDone(
    ids: readonly string[],
    { withinMs, unknown = 0 }: Patience = {},
  ): Promise<void> {
    await untilSucceeded(ids, withinMs);
    await eventually(async () => {
      expect(await leftovers(client, key)).toEqual([]);
      return true;
    }, withinMs);
    const done = await client.lrange(`${key}:done`, 0, -1);
    expect(done).toEqual(expect.arrayContaining([...ids]));
    expect(done.length).toBeLessThanOrEqual(ids.length + unknown);
    expect(await counts()).toEqual({ accepted: done.length, succeeded: done.length });
    expect((await succeededEvents(client, key)).toSorted()).toEqual(done.toSorted());
    for (const { id, claims } of await Promise.all(done.map(task))) {
      expect(runs(id), `runs of ${id}`).toBeGreaterThan(0);
      expect(runs(id), `runs of ${id}`).toBeLessThanOrEqual(claims);
    }
  }

  return {
    post: postTask,
    async send(serverUrl, count, ms) {
      const answers = await Promise.all(Array.from({ length: count }, () => postTask(serverUrl, ms)));
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 202));
      return answers.map(({ body }) => String(body['id']));
    },
    task,
    async untilBegun(ids, count = ids.length) {
      await eventually(() => ids.filter((id) => runs(id) > 0).length >= count);
    },
    untilSucceeded,
    runs,
    counts,
    async ready() {
      const lanes = ['high', 'normal', 'low'].map((lane) => client.llen(`${key}:ready:${lane}`));
      return (await Promise.all(lanes)).reduce((sum, length) => sum + length, 0);
    },
    async whenQuiet(withinMs) {
      await eventually(async () => {
        const { ready, running, scheduled, waiting } = await counts();
        expect({ ready, running, scheduled, waiting }).toEqual({});
        return true;
      }, withinMs);
    },
    sweptAtMs: async () => Number(await client.hget(`${key}:queue`, 'swept_at')),
    workers: () => client.zrange(`${key}:workers`, '0', '-1'),
    heldBy: (worker) => heldBy(client, key, worker),
    expectAllDone,
  };
}

/** Keys that must not be there once every task is finished: waiting messages, their ledger, and what a worker holds. */
async function leftovers(client: Redis, key: string): Promise<string[]> {
  const keys = await keysLike(client, `${key.replaceAll(/[{}]/g, '\\$&')}:*`);
  return keys.filter((name) => /:(ready|ledger|running|later|malformed|dead)(:|$)/.test(name));
}

async function heldBy(client: Redis, key: string, worker: string): Promise<string[]> {
  const ids = await client.smembers(`${key}:running`);
  const headers = await Promise.all(ids.map((id) => client.hget(`${key}:headers`, id)));
  return ids.filter((_, at) => headers[at]?.includes(` ${worker}`));
}

/** Ids of the transitions to `succeeded`, one for each time it was recorded. */
async function succeededEvents(client: Redis, key: string): Promise<string[]> {
  const entries = await client.xrange(`${key}:events`, '-', '+');
  return entries
    .flatMap(([, fields]) => fields)
    .flatMap((text) => text.split(' '))
    .filter((move) => move.endsWith('succeeded'))
    .map((move) => move.slice(0, 36));
}

function linesOf(file: string): string[] {
  return readFileSync(file, 'utf8').split('\n');
}
