// The ceiling of handlers in threads: a bare call of the pool that popfleet uses, with no queue behind it.

import { join } from 'node:path';
import { Piscina } from 'piscina';
import { ratePerSecond } from '../in-flight.mjs';
import { PAYLOAD } from '../payload.mjs';
import { HERE } from '../processes.mjs';

export const title = 'bare piscina call';

export const scenarios = {
  async 'process-threads'({ n, warmUp, concurrency }) {
    const filename = join(HERE, 'fixtures', 'piscina-task.mjs');
    // Without waiting by Atomics, as popfleet has it: here that is also the faster way.
    const pool = new Piscina({
      filename,
      minThreads: concurrency,
      maxThreads: concurrency,
      atomics: 'disabled',
    });
    const call = () => pool.run(PAYLOAD);
    await ratePerSecond(warmUp, concurrency, call);
    const perSecond = await ratePerSecond(n, concurrency, call);
    await pool.destroy();
    return { perSecond };
  },
};
