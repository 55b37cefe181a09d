// A task over HTTP and its result by long poll, as a caller sees both: POST, then GET with `wait`.

import { Agent } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { call } from './http-call.mjs';
import { PAYLOAD } from './payload.mjs';
import { percentile } from './stats.mjs';

const WAIT_SECONDS = 20;

/** First with the connections idle most of the time, then with all of them busy. */
export async function measureResults({ n, connections, perSecond }, url, type) {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const body = JSON.stringify({ type, input: PAYLOAD });
  const once = () => roundTrip(agent, url, body);
  try {
    await allConnections(n, connections, once, 0); // warm-up
    const idle = await allConnections(n, connections, once, (connections / perSecond) * 1_000);
    const began = performance.now();
    const busy = await allConnections(n, connections, once, 0);
    const busyPerSecond = (n / (performance.now() - began)) * 1_000;
    return {
      p50Ms: percentile(idle, 0.5),
      p99Ms: percentile(idle, 0.99),
      busyP50Ms: percentile(busy, 0.5),
      busyPerSecond,
    };
  } finally {
    agent.destroy();
  }
}

/** @param everyMs pause between two sends of one connection; their turns are spread evenly over it */
async function allConnections(n, connections, once, everyMs) {
  const samples = [];
  let left = n;
  async function connection(number) {
    await sleep((everyMs * number) / connections);
    while (left > 0) {
      left -= 1;
      const began = performance.now();
      await once();
      const tookMs = performance.now() - began;
      samples.push(tookMs);
      if (everyMs > 0) await sleep(Math.max(0, everyMs - tookMs));
    }
  }
  await Promise.all(Array.from({ length: connections }, (_, number) => connection(number)));
  return samples;
}

async function roundTrip(agent, url, body) {
  const { id } = await call(agent, `${url}/v1/tasks`, 'POST', body);
  const task = await call(agent, `${url}/v1/tasks/${id}?wait=${WAIT_SECONDS}`, 'GET');
  if (task.state !== 'succeeded' || task.result !== 3) throw new Error(`task ${id} is ${task.state}`);
}
