// Sidekiq as Debian packages it. Its basic fetch is a BRPOP: a job that was popped by a process that dies is lost, and
// what it did is written nowhere but in counters. So a popped job counts as a finished one.

import { join } from 'node:path';
import { existsSync, readFileSync } from 'node:fs';
import { completionRate, eventually, expectExactly } from '../completions.mjs';
import { isOnPath } from '../../on-path.mjs';
import { HERE, end, output, start } from '../processes.mjs';

export const title = 'Sidekiq';
export const needsProgram = true;
export const missing = () =>
  isOnPath('sidekiq') ? undefined : 'install Sidekiq (apt-get install ruby-sidekiq)';

const SCRIPT = join(HERE, 'variants', 'sidekiq.rb');
const QUEUE = 'queue:default';

/** @returns jobs a second, as the Ruby program timed itself */
function push({ redis, batch }, n, warmUp) {
  const env = { ...process.env, REDIS_URL: redis.url };
  return Number(output('ruby', [SCRIPT, 'push', String(n), String(batch), String(warmUp)], { env }));
}

export const scenarios = {
  async 'enqueue-bulk'(bench) {
    const perSecond = push(bench, bench.n, bench.warmUp);
    expectExactly(bench.n + bench.warmUp, 'jobs waiting', await bench.observer.llen(QUEUE));
    return { perSecond };
  },

  async 'process-inline'(bench) {
    push(bench, bench.n, 0);
    const runsFile = join(bench.dir, 'runs');
    const worker = start(
      'sidekiq',
      ['--require', SCRIPT, '--concurrency', String(bench.concurrency), '--environment', 'production'],
      { REDIS_URL: bench.redis.url, BENCH_RUNS: runsFile },
    );
    const perSecond = await completionRate(bench.n, async () => bench.n - (await bench.observer.llen(QUEUE)));
    // It waits for jobs that run, puts back what it had popped but not begun, and then says how many ran.
    await end(worker, 'SIGTERM');
    await eventually('Sidekiq told its runs', () => existsSync(runsFile));
    const ran = Number(readFileSync(runsFile, 'utf8'));
    expectExactly(bench.n, 'jobs that ran or were put back', ran + (await bench.observer.llen(QUEUE)));
    return { perSecond };
  },
};
