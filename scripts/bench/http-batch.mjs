// Batches of tasks over HTTP, one after the other over one connection.

import { Agent } from 'node:http';
import { expectExactly } from './completions.mjs';
import { call } from './http-call.mjs';
import { ratePerSecond, sendInBatches } from './in-flight.mjs';
import { cpuSecondsOf } from './machine.mjs';
import { PAYLOAD } from './payload.mjs';

/**
 * @param server its `url` and `pid`
 * @returns tasks a second, and microseconds of processor time of the server a task
 * @throws when an answer does not have as many tasks as were sent
 */
export async function postBatches({ n, warmUp, batch }, { url, pid }, type) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const bodies = new Map();
  /** Made once a size: the time to make them is not the server's. */
  function bodyOf(size) {
    if (!bodies.has(size))
      bodies.set(size, JSON.stringify(Array.from({ length: size }, () => ({ type, input: PAYLOAD }))));
    return bodies.get(size);
  }
  async function post(size) {
    const { accepted } = await call(agent, `${url}/v1/tasks/batch`, 'POST', bodyOf(size));
    expectExactly(size, 'tasks of a batch that were accepted', accepted);
  }
  try {
    await sendInBatches(warmUp, batch, post);
    const before = cpuSecondsOf(pid);
    const perSecond = n * (await ratePerSecond(1, 1, () => sendInBatches(n, batch, post)));
    return { perSecond, cpuUs: ((cpuSecondsOf(pid) - before) / n) * 1e6 };
  } finally {
    agent.destroy();
  }
}
