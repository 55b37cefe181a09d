// Has the steps of a workflow accepted that the tick of a schedule has started, and lets them begin.

import type { Redis } from 'ioredis';
import { readDraft } from '../store/scheduled-workflow.ts';
import type { Workflows } from '../store/workflows.ts';
import { acceptSteps } from './waiting-steps.ts';

/**
 * May be done twice, and broken off anywhere: nothing begins before all steps are there.
 * @param home queue of the record
 * @returns how many entries that has appended to the outbox of the home queue
 * @throws Error of ioredis, PopfleetError `redis-unavailable`, `redis-full`
 */
export async function beginWorkflow(
  client: Redis,
  store: Workflows,
  home: string,
  id: string,
): Promise<number> {
  const tasks = await readDraft(client, home, id);
  // It has begun, or was cancelled before.
  if (!tasks) return 0;
  const record = await store.find(id, [home]);
  if (record?.progress.state !== 'accepting') return 0;
  if (tasks.length !== record.plan.steps.length) return (await store.withdraw(home, id, 1)).appended;
  await acceptSteps(store, record.plan, tasks);
  return (await store.commit(home, id, 1)).appended;
}
