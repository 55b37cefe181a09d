// What Redis itself counted about the commands that it ran, since the last reset.

const COMMAND = /^cmdstat_(\S+?):calls=(\d+),usec=(\d+)/gm;
const SCRIPTS = new Set(['eval', 'evalsha', 'fcall']);

/** @returns of each command how often it ran, and the microseconds Redis spent in it */
export async function commandStats(redis) {
  const matches = (await redis.info('commandstats')).matchAll(COMMAND);
  return Array.from(matches, ([, name, calls, usec]) => ({ name, calls: Number(calls), usec: Number(usec) }));
}

/** @returns calls of scripts and the microseconds Redis spent in them */
export async function scriptStats(redis) {
  const scripts = (await commandStats(redis)).filter(({ name }) => SCRIPTS.has(name));
  const sum = (key) => scripts.reduce((total, one) => total + one[key], 0);
  return { calls: sum('calls'), usec: sum('usec') };
}

export async function usedMemory(redis) {
  const info = await redis.info('memory');
  return Number(/^used_memory:(\d+)/m.exec(info)?.[1]);
}
