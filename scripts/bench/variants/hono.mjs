// The ceiling of the HTTP side: an empty handler of the framework that popfleet uses.

import { join } from 'node:path';
import { eventually } from '../completions.mjs';
import { freePort, HERE, start } from '../processes.mjs';
import { missingWrk, postTasks } from '../wrk.mjs';

export const title = 'empty Hono handler';
export const missing = missingWrk;

export const scenarios = {
  async 'http-enqueue'(bench) {
    const port = await freePort();
    start(process.execPath, [join(HERE, 'fixtures', 'hono-server.mjs'), String(port)]);
    const url = `http://127.0.0.1:${port}`;
    await eventually('the server is ready', () =>
      fetch(`${url}/readyz`).then(
        ({ ok }) => ok,
        () => false,
      ),
    );
    const { requests: _, ...result } = postTasks(bench, url, 'bench.inline');
    return result;
  },
};
