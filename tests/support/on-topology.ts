// The core's fault tests and the interleaving model, once more where what stands for Redis is another topology. They are the tests of
// one server, whose files this one imports; those of them that make sense with one server alone leave themselves out. Nothing fails over there: that
// has tests of its own, in which what was not copied may be lost.

import { describe } from 'vitest';

/** In each run of the tests. */
const SHORT = ['store/interleaving', 'e2e/killed-after-end'];
/** With POPFLEET_TOPOLOGIES=all. */
const MORE = [
  'cancel',
  'idle-kills',
  'killed-before-delivery',
  'killed-workflows',
  'lost-pops',
  'lost-replies',
  'lost-threads',
  'lost-workers',
  'on-end',
  'redis-outages',
  'shutdown',
  'suspects',
].map((name) => `e2e/${name}`);

/** To be called at the top of a file that runs alone, because it sets variables. */
export function describeOn(topology: 'cluster' | 'sentinel'): void {
  process.env['POPFLEET_TOPOLOGY'] = topology;
  process.env['POPFLEET_MODEL_RUNS'] ??= '5';
  const files = process.env['POPFLEET_TOPOLOGIES'] === 'all' ? [...SHORT, ...MORE] : SHORT;
  describe.each(files)('%s', async (file) => {
    await import(new URL(`../${file}.test.ts`, import.meta.url).href);
  });
}
