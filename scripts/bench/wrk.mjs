// HTTP load by wrk: written in C, so that the client does not take the core that the server needs.

import { join } from 'node:path';
import { cpuSecondsOf } from './machine.mjs';
import { PAYLOAD_TEXT } from './payload.mjs';
import { isOnPath } from '../on-path.mjs';
import { HERE, output } from './processes.mjs';

const UNIT_MS = { us: 0.001, ms: 1, s: 1_000, m: 60_000 };

export function missingWrk() {
  return isOnPath('wrk') ? undefined : 'install wrk (apt-get install wrk)';
}

/**
 * Posts tasks for some seconds.
 * @param server its `url` and `pid`
 * @throws when an answer is no success
 */
export function postTasks({ seconds, connections }, { url, pid }, type) {
  const run = (duration) =>
    output('wrk', [
      '--threads=1',
      `--connections=${connections}`,
      `--duration=${duration}s`,
      '--latency',
      `--script=${join(HERE, 'fixtures', 'post.lua')}`,
      `${url}/v1/tasks`,
      '--',
      `{"type":"${type}","input":${PAYLOAD_TEXT}}`,
    ]);
  // wrk counts in whole seconds: a smoke run of one has none to warm up.
  const warmUpSeconds = Math.round(seconds / 5);
  const warmUp = warmUpSeconds > 0 ? requestsOf(run(warmUpSeconds)) : 0;
  const before = cpuSecondsOf(pid);
  const text = run(seconds);
  const cpuSeconds = cpuSecondsOf(pid) - before;
  return {
    perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1]),
    p50Ms: latency(text, '50%'),
    p99Ms: latency(text, '99%'),
    cpuUs: (cpuSeconds / requestsOf(text)) * 1e6,
    requests: warmUp + requestsOf(text),
  };
}

function requestsOf(text) {
  const bad = /Non-2xx or 3xx responses: \d+|Socket errors: .*/.exec(text);
  if (bad) throw new Error(`wrk: ${bad[0]}`);
  return Number(/(\d+) requests in/.exec(text)?.[1]);
}

function latency(text, share) {
  const [, number, unit] = new RegExp(`${share}\\s+([\\d.]+)(us|ms|s|m)`).exec(text) ?? [];
  return Number(number) * UNIT_MS[unit];
}
