// One measurement: a fresh Redis, the latency in front of it when asked for, a fresh process for the variant.

import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { HERE } from './processes.mjs';
import { startRedis } from './redis.mjs';

/** Of a process that is stuck; every scenario is far faster. */
const PATIENCE_MS = { smoke: 60_000, full: 1_200_000 };

/**
 * @param scenarios to run one after the other; several only where nothing is to be measured (a smoke run)
 * @returns `values` of each scenario, by its name
 */
export async function measure({ scenarios, variant, smoke, aof, latencyMs, postgres }) {
  const size = smoke ? 'smoke' : 'full';
  const redis = await startRedis({ aof });
  const cleanUps = [redis.stop];
  try {
    const port = await delayed(redis.port, latencyMs, cleanUps);
    const settings = {
      variant,
      aof,
      latencyMs,
      scenarios: scenarios.map((scenario) => ({ name: scenario.name, ...scenario[size] })),
      dir: redis.dir,
      redis: { port, directPort: redis.port, url: `redis://127.0.0.1:${port}` },
    };
    if (postgres) {
      const direct = await postgres.freshDatabase();
      settings.postgres = { ...direct, port: await delayed(direct.port, latencyMs, cleanUps) };
    }
    return {
      values: await runChild(settings, scenarios.length * PATIENCE_MS[size]),
      redisVersion: redis.version,
    };
  } finally {
    for (const cleanUp of cleanUps.toReversed()) await cleanUp();
  }
}

/** The port to use: that of a proxy which adds the latency, or the server's own. */
export async function delayed(port, latencyMs, cleanUps) {
  if (latencyMs === 0) return port;
  const proxy = fork(join(HERE, 'delay-proxy.mjs'), [String(port), String(latencyMs)]);
  cleanUps.push(async () => {
    proxy.kill('SIGKILL');
  });
  const [{ port: own }] = await once(proxy, 'message');
  return own;
}

/** @throws with what the process said, when it failed or hung */
async function runChild(settings, patienceMs) {
  // A process group of its own, so that nothing it started outlives it.
  const child = spawn(process.execPath, [join(HERE, 'child.mjs'), JSON.stringify(settings)], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const killGroup = () => {
    try {
      process.kill(-Number(child.pid), 'SIGKILL');
    } catch {
      // It is gone already.
    }
  };
  process.once('exit', killGroup);
  const timer = setTimeout(killGroup, patienceMs);
  let out = '';
  let said = '';
  child.stdout.on('data', (text) => {
    out += text;
  });
  child.stderr.on('data', (text) => {
    said += text;
  });
  const closed = once(child, 'close');
  const [code] = await once(child, 'exit');
  clearTimeout(timer);
  killGroup();
  await closed;
  process.off('exit', killGroup);
  if (code !== 0) throw new Error(said.trim() || `no result within ${patienceMs} ms`);
  return JSON.parse(out);
}
