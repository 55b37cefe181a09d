// The arithmetic of `simulate.mjs`: no clock, no network, the same answer each time.

export const BATCHES = [1, 10, 50];
/** A primary that is busier than this answers late when load jumps. */
const BUSY = 0.6;
/** Seconds between two beats of a worker. */
const BEAT_SECONDS = 2.5;
/** `maxclients` of Redis unless it is told otherwise. */
const MAX_CLIENTS = 10_000;
/** Of a primary: a larger one takes long to fork and to send to a replica. */
const MOST_GIGABYTES = 16;
const GB = 1e9;
export const STEPS = ['enqueue', 'claim', 'finish'];

/** Microseconds of the main thread that a task takes from its acceptance to its end, when so many (one of `BATCHES`) go in each call. */
export function costOfTask({ calls }, batch) {
  return STEPS.reduce((sum, step) => sum + calls[step][batch] / batch, 0);
}

/** @returns what a fleet takes that runs `rate` tasks a second for `runSeconds` each */
export function planOf(costs, { rate, runSeconds, batch, threads, ttlSeconds }) {
  const processes = Math.ceil((rate * runSeconds) / threads);
  const beatsUs = (processes / BEAT_SECONDS) * costs.beatUs;
  const tasksUs = rate * costOfTask(costs, batch);
  const primaries = Math.max(1, Math.ceil((tasksUs + beatsUs) / (BUSY * 1e6)));
  // A worker has one connection for commands and one that pops for each queue, here one a primary; and the wake channel.
  const connections = Math.ceil(processes * (2 + 1 / primaries));
  const near = Math.min(2, primaries);
  const connectionsOfTwo = Math.ceil((processes * (2 * near + 1)) / primaries);
  const bytes =
    rate * (runSeconds + ttlSeconds) * costs.bytesOfTask + connections * primaries * costs.bytesOfConnection;
  const gigabytes = bytes / primaries / GB;
  /** How far each limit of one primary is used, of a fleet that had one queue alone. */
  const limits = [
    ['one queue (CPU of its primary)', (tasksUs + beatsUs) / (BUSY * 1e6)],
    ['connections (maxclients 10,000)', connections / MAX_CLIENTS],
    ['memory (16 GB a primary)', gigabytes / MOST_GIGABYTES],
  ];
  const [name, used] = limits.toSorted(([, a], [, b]) => b - a)[0];
  return {
    primaries,
    processes,
    beatShare: beatsUs / (tasksUs + beatsUs),
    connections,
    connectionsOfTwo,
    gigabytes,
    breaksFirst: used > 1 ? `${name}, ${used.toFixed(1)} ×` : 'nothing',
  };
}

const ARRIVALS = 200_000;

/**
 * Simulates one primary, which does one call after the other: those of single tasks come at random times, and sometimes one of fifty.
 * @param share how busy it is, 0 to 1
 * @returns milliseconds that a call waits until the primary begins with it
 */
export function waitsAt({ calls }, share) {
  const random = createRandom(1);
  // One call of twenty has fifty tasks.
  const kinds = STEPS.flatMap((step) =>
    Array.from({ length: 20 }, (_, at) => calls[step][at === 0 ? 50 : 1]),
  );
  const meanUs = kinds.reduce((sum, us) => sum + us, 0) / kinds.length;
  const waits = [];
  let now = 0;
  let freeAt = 0;
  for (let at = 0; at < ARRIVALS; at += 1) {
    now += (-Math.log(1 - random()) * meanUs) / share;
    const beginAt = Math.max(now, freeAt);
    waits.push((beginAt - now) / 1_000);
    freeAt = beginAt + kinds[Math.floor(random() * kinds.length)];
  }
  const sorted = waits.toSorted((a, b) => a - b);
  return { p50: sorted[Math.floor(ARRIVALS / 2)], p99: sorted[Math.floor(ARRIVALS * 0.99)] };
}

/** Numbers from 0 to 1 (mulberry32), the same for the same seed. */
function createRandom(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
