// What one fault test starts: its own Redis, proxies and roles. Everything ends with the test, and when the test
// fails the logs of its roles are shown.

import type { TestContext } from 'vitest';
import { endAll, type RoleProcess, spawnRole, startRole } from './fleet.ts';
import { type RedisProxy, startProxy } from './proxy.ts';
import { JOURNAL_TASKS, openQueueFacts, type QueueFacts } from './queue-facts.ts';
import { startRedis, type TestRedis } from './redis.ts';
import { type RoleHere, startHere, stopHere } from './start-here.ts';

export interface Stage {
  redis(settings?: Record<string, string>): Promise<TestRedis>;
  proxy(redis: Pick<TestRedis, 'port' | 'wayTo'>): Promise<RedisProxy>;
  /** @param cli file of the command; that of this build unless told */
  role(role: string, env: Record<string, string>, cwd?: string, cli?: string): Promise<RoleProcess>;
  /** Starts a role in this process. @param isReady whether to wait until a server has its Redis */
  here(role: 'server' | 'worker', env: Record<string, string>, isReady?: boolean): Promise<RoleHere>;
  /** Starts a role that may not come up. */
  spawn(role: string, env: Record<string, string>): RoleProcess;
  /** Runs when the processes have ended. */
  atEnd(close: () => Promise<void>): void;
}

/** @param context of the test: `test('…', async (context) => …)` */
export function openStage(context: TestContext): Stage {
  const processes: RoleProcess[] = [];
  const inside: RoleHere[] = [];
  const closing: (() => Promise<void>)[] = [];

  context.onTestFailed(() => {
    for (const one of processes) process.stderr.write(logOf(`process ${one.pid}`, one, one.errors()));
    for (const one of inside) process.stderr.write(logOf('a role in this process', one));
  });
  context.onTestFinished(async () => {
    await endAll(processes);
    await stopHere(...inside);
    for (const close of closing.toReversed()) await close();
  });

  return {
    async redis(settings) {
      const redis = await startRedis(settings);
      closing.push(() => redis.stop());
      return redis;
    },

    async proxy(redis) {
      const proxy = await startProxy(redis.port, redis.wayTo);
      closing.push(() => proxy.close());
      return proxy;
    },

    async role(role, env, cwd, cli) {
      const started = await startRole(role, env, cwd, [], cli);
      processes.push(started);
      return started;
    },

    async here(role, env, isReady) {
      const started = await startHere(role, env, isReady);
      inside.push(started);
      return started;
    },

    spawn(role, env) {
      const started = spawnRole(role, env);
      processes.push(started);
      return started;
    },

    atEnd(close) {
      closing.push(close);
    },
  };
}

export interface JournalStage {
  readonly stage: Stage;
  readonly redis: TestRedis;
  readonly facts: QueueFacts;
  /** For roles on this Redis that know the task type "journal". */
  readonly env: Readonly<Record<string, string>>;
}

/** @param more settings of the roles */
export async function openJournalStage(
  context: TestContext,
  more: Readonly<Record<string, string>> = {},
): Promise<JournalStage> {
  const stage = openStage(context);
  const redis = await stage.redis();
  const env = { ...JOURNAL_TASKS, REDIS_URL: redis.url, ...more };
  return { stage, redis, facts: openQueueFacts(redis), env };
}

function logOf(name: string, { log }: Pick<RoleProcess, 'log'>, errors = ''): string {
  const lines = log().map((line) => JSON.stringify({ ...line, err: (line['err'] as Error)?.message }));
  return `\n--- ${name}\n${lines.slice(-40).join('\n')}\n${errors}`;
}
