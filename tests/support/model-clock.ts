// Gives the scripts a clock that a test moves: they read a key instead of the clock of Redis.

import type { Redis } from 'ioredis';
import { v7 } from 'uuid';
import { buildScripts, type ScriptBuild } from '../../src/store/scripts.ts';

const CLOCK_KEY = 'test:clock';
/** In a cluster each queue has a clock in its own slot: a script reaches no other. */
const IS_SLOTTED = process.env['POPFLEET_TOPOLOGY'] === 'cluster';

/** Time goes on also when Redis is full. */
const SET_CLOCK = "#!lua flags=allow-oom\nreturn redis.call('SET', KEYS[1], ARGV[1])";

/** `buildScripts` with the clock replaced; give it to `openCommandConnection`. */
export function buildScriptsWithClock(build?: ScriptBuild): ReturnType<typeof buildScripts> {
  // On one line: those behind it keep their numbers.
  const key = IS_SLOTTED ? `'${CLOCK_KEY}' .. string.match(KEYS[1], '{.-}')` : `'${CLOCK_KEY}'`;
  const readMs = `local ms = tonumber(redis.call('GET', ${key}))`;
  const readKey = `(function() ${readMs} return { math.floor(ms / 1000), (ms % 1000) * 1000 } end)()`;
  return buildScripts({
    flags: true,
    ...build,
    patch(clock) {
      const patched = clock.replace("redis.call('TIME')", readKey);
      if (patched === clock) throw new Error('the scripts read their clock in another way now');
      return patched;
    },
  });
}

export interface ModelClock {
  now(): number;
  advance(ms: number): Promise<void>;
  /** As `advance`, and as much time passes, which never goes back. */
  pass(ms: number): Promise<void>;
  /** Milliseconds that have passed, whatever the clock of Redis shows. */
  passed(): number;
  /** An id made now by this clock, or by that of a host whose clock is elsewhere: both in turns. */
  newTaskId(): string;
}

/** @param queues whose clocks it moves */
export async function createModelClock(
  client: Redis,
  startMs = 1_000_000,
  queues: readonly string[] = [],
): Promise<ModelClock> {
  const keys = IS_SLOTTED ? queues.map((queue) => `${CLOCK_KEY}{${queue}}`) : [CLOCK_KEY];
  let now = startMs;
  let passed = 0;
  let ids = 0;
  for (const key of keys) await client.set(key, now);
  const advance = async (ms: number): Promise<void> => {
    now += ms;
    for (const key of keys) await client.eval(SET_CLOCK, 1, key, now);
  };
  return {
    now: () => now,
    newTaskId: () => ((ids += 1) % 4 < 2 ? v7({ msecs: now }) : v7()),
    advance,
    async pass(ms) {
      passed += Math.max(0, ms);
      await advance(ms);
    },
    passed: () => passed,
  };
}

/** Checks, each time that it is called, that the scripts' clock of a queue has not gone back. */
export function watchScriptsClock(client: Redis, key: string): () => Promise<void> {
  let latest = 0;
  return async () => {
    const [wall, skew] = await client.hmget(`${key}:queue`, 'wall', 'skew');
    const now = Number(wall) + Number(skew);
    if (now < latest) throw new Error(`the clock of the scripts went back by ${latest - now} ms`);
    latest = now;
  };
}
