// Celery as Debian packages it, with its Redis transport and without results. It acknowledges a task when it starts, so
// that a worker that dies loses it (the default); tasks that it has fetched ahead are kept.

import { join } from 'node:path';
import { existsSync, readFileSync } from 'node:fs';
import { completionRate, eventually, expectExactly } from '../completions.mjs';
import { HERE, end, output, start } from '../processes.mjs';

export const title = 'Celery';
export const needsProgram = true;
/** Of the tasks: it is some ten times slower than the others. */
export const share = 0.1;

/** Debian's own, whatever other Python comes first on the PATH. */
const PYTHON = '/usr/bin/python3';
const FOLDER = join(HERE, 'variants');
const QUEUE = 'celery';

export function missing() {
  try {
    output(PYTHON, ['-c', 'import celery, redis']);
    return undefined;
  } catch {
    return 'install Celery (apt-get install python3-celery python3-redis)';
  }
}

const environment = ({ redis }) => ({
  REDIS_URL: redis.url,
  PYTHONPATH: FOLDER,
  PYTHONDONTWRITEBYTECODE: '1',
});

/** One call after the other: its producer knows no calls in flight and no bulk call. */
function send(bench, n, warmUp) {
  const env = { ...process.env, ...environment(bench) };
  return Number(output(PYTHON, [join(FOLDER, 'celery_tasks.py'), String(n), String(warmUp)], { env }));
}

/** Those on the list, and those fetched ahead. */
async function unfinished({ observer }) {
  const [[, waiting], [, fetched]] = await observer.multi().llen(QUEUE).hlen('unacked').exec();
  return waiting + fetched;
}

export const scenarios = {
  async 'enqueue-single'(bench) {
    const perSecond = send(bench, bench.n, bench.warmUp);
    expectExactly(bench.n + bench.warmUp, 'tasks waiting', await unfinished(bench));
    return { perSecond };
  },

  /** In its solo pool, which runs the tasks in the main thread: its fastest for tiny ones. */
  async 'process-inline'(bench) {
    send(bench, bench.n, 0);
    const runsFile = join(bench.dir, 'runs');
    const options = [
      '--pool',
      'solo',
      '--without-gossip',
      '--without-mingle',
      '--without-heartbeat',
      '--loglevel',
      'ERROR',
    ];
    const worker = start(PYTHON, ['-m', 'celery', '--app', 'celery_tasks', '--quiet', 'worker', ...options], {
      ...environment(bench),
      BENCH_RUNS: runsFile,
      BENCH_N: String(bench.n),
    });
    const perSecond = await completionRate(bench.n, async () => bench.n - (await unfinished(bench)));
    // It acknowledges a task before it runs it, and loses the last one if it is told to stop in between.
    await eventually('Celery told its runs', () => existsSync(runsFile));
    await end(worker, 'SIGTERM');
    expectExactly(bench.n, 'runs of the handler', Number(readFileSync(runsFile, 'utf8')));
    return { perSecond };
  },
};
