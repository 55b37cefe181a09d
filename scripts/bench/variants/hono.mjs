// The ceiling of the HTTP side: an empty handler of the framework that popfleet uses.

import { join } from 'node:path';
import { postBatches } from '../http-batch.mjs';
import { freePort, HERE, start, untilReady } from '../processes.mjs';
import { missingWrk, postTasks } from '../wrk.mjs';

export const title = 'empty Hono handler';
export const missing = ({ scenario }) => (scenario === 'http-enqueue' ? missingWrk() : undefined);

/** @returns its address, and its process */
async function startServer() {
  const port = await freePort();
  const { pid } = start(process.execPath, [join(HERE, 'fixtures', 'hono-server.mjs'), String(port)]);
  const url = `http://127.0.0.1:${port}`;
  await untilReady(url);
  return { url, pid };
}

export const scenarios = {
  async 'http-enqueue'(bench) {
    const { requests: _, ...result } = postTasks(bench, await startServer(), 'bench.inline');
    return result;
  },

  'http-batch': async (bench) => postBatches(bench, await startServer(), 'bench.inline'),
};
