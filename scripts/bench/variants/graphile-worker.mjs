// graphile-worker in its batched mode, on a PostgreSQL that is as safe as the Redis of the others (postgres.mjs).

import { makeWorkerUtils } from 'graphile-worker';
import pg from 'pg';
import { expectExactly, rateFromFirstRun } from '../completions.mjs';
import { sendInBatches } from '../in-flight.mjs';
import { PAYLOAD } from '../payload.mjs';
import { missingPostgres } from '../postgres.mjs';
import { startPeerWorker } from '../processes.mjs';

export const title = 'graphile-worker, batched';
export const needs = 'postgres';
export const needsProgram = true;
export const missing = missingPostgres;

const TASK = 'add';

async function fill(pgPool, n, batch) {
  const utils = await makeWorkerUtils({ pgPool });
  await utils.migrate();
  await sendInBatches(n, batch, (size) =>
    utils.addJobs(Array.from({ length: size }, () => ({ identifier: TASK, payload: PAYLOAD }))),
  );
  await utils.release();
  // What autovacuum does for a table that was not filled a moment ago.
  await pgPool.query('vacuum analyze graphile_worker._private_jobs');
}

export const scenarios = {
  /**
   * A finished job's row is deleted, and counting the rows that are left would take PostgreSQL a core. So the clock runs
   * from the first handler, which is at most one batch earlier than the first record, until no row is left.
   */
  async 'process-inline'({ n, batch, concurrency, postgres }) {
    const pgPool = new pg.Pool({ ...postgres, max: 2 });
    pgPool.on('error', () => undefined).on('connect', (client) => client.on('error', () => undefined));
    await fill(pgPool, n, batch);
    const worker = startPeerWorker('graphile-worker.mjs', { postgres, concurrency, task: TASK });
    const perSecond = await rateFromFirstRun(n, worker, async () => {
      const { rows } = await pgPool.query('select 1 from graphile_worker._private_jobs limit 1');
      return rows.length === 0;
    });
    expectExactly(n, 'runs of the handler', await worker.ran());
    return { perSecond };
  },
};
