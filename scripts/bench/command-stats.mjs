// What Redis itself counted about the scripts that it ran.

const SCRIPT_CALLS = /^cmdstat_(?:eval|evalsha|fcall):calls=(\d+),usec=(\d+)/gm;

/** @returns calls of scripts and the microseconds Redis spent in them, since the last reset */
export async function scriptStats(redis) {
  const info = await redis.info('commandstats');
  let calls = 0;
  let usec = 0;
  for (const [, callsText, usecText] of info.matchAll(SCRIPT_CALLS)) {
    calls += Number(callsText);
    usec += Number(usecText);
  }
  return { calls, usec };
}

export async function usedMemory(redis) {
  const info = await redis.info('memory');
  return Number(/^used_memory:(\d+)/m.exec(info)?.[1]);
}
