// Gives the scripts a clock that a test moves: they read a key instead of the clock of Redis.

import type { Redis } from 'ioredis';
import { v7 } from 'uuid';
import { buildScripts, type ScriptBuild } from '../../src/store/scripts.ts';

const CLOCK_KEY = 'test:clock';

/** Time goes on also when Redis is full. */
const SET_CLOCK = "#!lua flags=allow-oom\nreturn redis.call('SET', KEYS[1], ARGV[1])";

/** `buildScripts` with the clock replaced; give it to `openCommandConnection`. */
export function buildScriptsWithClock(build?: ScriptBuild): ReturnType<typeof buildScripts> {
  // On one line: those behind it keep their numbers.
  const readMs = `local ms = tonumber(redis.call('GET', '${CLOCK_KEY}'))`;
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
  /** An id made now by this clock, or by that of a host whose clock is elsewhere: both in turns. */
  newTaskId(): string;
}

export async function createModelClock(client: Redis, startMs = 1_000_000): Promise<ModelClock> {
  let now = startMs;
  let ids = 0;
  await client.set(CLOCK_KEY, now);
  return {
    now: () => now,
    newTaskId: () => ((ids += 1) % 4 < 2 ? v7({ msecs: now }) : v7()),
    async advance(ms) {
      now += ms;
      await client.eval(SET_CLOCK, 1, CLOCK_KEY, now);
    },
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
