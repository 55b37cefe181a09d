// bunqueue: its server, its client and its worker all run in Bun. Completed jobs are removed at once, and its limit of 10,000
// calls a minute is lifted: it would refuse acknowledgements too.

import { join } from 'node:path';
import { programOf } from '../../cached-package.mjs';
import { expectExactly, rateFromFirstRun } from '../completions.mjs';
import { delayed } from '../measure.mjs';
import { freePort, HERE, output, start, startPeerWorker, untilAnswered } from '../processes.mjs';

export const title = 'bunqueue, in Bun';
/** Not of the operating system, but larger than all the peers of npm together. */
export const needsProgram = true;

const QUEUE = 'bench';

const bun = () => programOf('bun', '1.4.5');
/** The folder of its code: what its program, a link, stands in. */
const bunqueue = () => join(programOf('bunqueue', '2.9.5'), '..', '..', 'bunqueue', 'dist');

export function missing() {
  try {
    bun();
    bunqueue();
    return undefined;
  } catch (error) {
    return `npm cannot install bun and bunqueue here (${error.message})`;
  }
}

/** A server as safe as the Redis of the others: in memory, or with a file. @returns `settings` of clients, and `stats()` */
async function startServer({ dir, aof, latencyMs }) {
  const [port, httpPort] = [await freePort(), await freePort()];
  start(bun(), [join(bunqueue(), 'main.js')], {
    HOST: '127.0.0.1',
    TCP_PORT: String(port),
    HTTP_PORT: String(httpPort),
    RATE_LIMIT_MAX_REQUESTS: '1000000000',
    LOG_LEVEL: 'error',
    ...(aof ? { BUNQUEUE_DATA_PATH: join(dir, `bunqueue-${port}.db`) } : {}),
  });
  const url = `http://127.0.0.1:${httpPort}`;
  await untilAnswered(`${url}/health`);
  // The proxy of the latency ends with this process, as the server does.
  const connection = { host: '127.0.0.1', port: await delayed(port, latencyMs, []) };
  return {
    settings: { client: join(bunqueue(), 'client', 'index.js'), connection, queue: QUEUE },
    stats: async () => (await (await fetch(`${url}/stats`)).json()).stats,
  };
}

/** @returns jobs a second, as the sender timed itself */
function send({ settings: server }, { n, warmUp, batch, inFlight }) {
  const settings = JSON.stringify({ ...server, n, warmUp, batch, inFlight });
  return Number(output(bun(), [join(HERE, 'fixtures', 'bunqueue-sender.mjs'), settings]));
}

async function sending(bench, inFlight) {
  const server = await startServer(bench);
  const perSecond = send(server, { ...bench, inFlight });
  expectExactly(bench.n + bench.warmUp, 'jobs that are there', (await server.stats()).waiting);
  return { perSecond };
}

export const scenarios = {
  'enqueue-single': (bench) => sending(bench, bench.inFlight),

  'enqueue-bulk': (bench) => sending(bench),

  async 'process-inline'(bench) {
    const { n, batch, concurrency } = bench;
    const server = await startServer(bench);
    send(server, { n, batch, warmUp: 0 });
    const worker = startPeerWorker('bunqueue-worker.mjs', { ...server.settings, concurrency }, bun());
    // To ask it all the time would cost it more than it costs a Redis.
    const perSecond = await rateFromFirstRun(
      n,
      worker,
      async () => (await server.stats()).totalCompleted >= n,
    );
    expectExactly(n, 'runs of the handler', await worker.ran());
    return { perSecond };
  },
};
