// The scenarios that only send, the same for every queue that has a call for one task and one for many.

import { usedMemory } from './command-stats.mjs';
import { expectExactly } from './completions.mjs';
import { ratePerSecond, sendInBatches } from './in-flight.mjs';

/**
 * @param queue how it is used: `open(bench)`, `send(opened)`, `sendMany(opened, n)`, `close(opened)`, and `waiting(bench)`,
 *   how many tasks are there
 */
export function createSending({ open, send, sendMany, close, waiting }) {
  /** Tasks that wait, sent by a connection of their own, which is closed again. */
  async function fill(bench, n) {
    const opened = await open(bench);
    await sendInBatches(n, bench.batch, (size) => sendMany(opened, size));
    await close(opened);
  }

  /** Scenarios that share a process (a smoke run's) share its Redis. */
  const nothingThere = ({ observer }) => observer.flushall();

  async function expectAllThere(bench) {
    expectExactly(bench.n + bench.warmUp, 'tasks that are there', await waiting(bench));
  }

  const scenarios = {
    async 'enqueue-single'(bench) {
      await nothingThere(bench);
      const opened = await open(bench);
      const sendOne = () => send(opened);
      await ratePerSecond(bench.warmUp, bench.inFlight, sendOne);
      const perSecond = await ratePerSecond(bench.n, bench.inFlight, sendOne);
      await expectAllThere(bench);
      return { perSecond };
    },

    async 'enqueue-bulk'(bench) {
      await nothingThere(bench);
      const opened = await open(bench);
      const sendAll = (n) => sendInBatches(n, bench.batch, (size) => sendMany(opened, size));
      await sendAll(bench.warmUp);
      const perSecond = bench.n * (await ratePerSecond(1, 1, () => sendAll(bench.n)));
      await expectAllThere(bench);
      return { perSecond };
    },

    async bytes(bench) {
      await nothingThere(bench);
      await fill(bench, bench.batch);
      const before = await usedMemory(bench.observer);
      await fill(bench, bench.n);
      return { bytes: ((await usedMemory(bench.observer)) - before) / bench.n };
    },
  };
  return { fill, scenarios };
}
