// Ends that come while a record is still being written, or after it was: nothing waits for them for ever.

import { expect, test } from 'vitest';
import { homeOf, keyOf } from '../../src/store/keys.ts';
import { createOperator } from '../../src/store/operator.ts';
import { countEnds, createBatches } from '../../src/store/batches.ts';
import { confirmMembers } from '../../src/store/confirm-members.ts';
import { actOnSteps } from '../../src/store/workflows.ts';
import { buildScriptsWithClock } from '../support/model-clock.ts';
import { expectBalanced } from '../support/moves.ts';
import { openScriptedQueue, QUEUE } from '../support/scripted-queue.ts';
import { startStore } from '../support/store.ts';
import { openFlows } from '../support/workflow-branches.ts';

const { client } = await startStore(buildScriptsWithClock);
const PLACE = homeOf(QUEUE);

async function stage() {
  const queue = await openScriptedQueue(client, { retentionMs: 5_000 });
  const flows = openFlows(client, queue);
  const stateOf = async (id: string) => (await flows.workflows.find(id, [QUEUE]))?.progress.state;
  return { ...queue, ...flows, stateOf };
}

test('a workflow whose steps end before its commit ends with it', async () => {
  const { open, end, workflows, stateOf } = await stage();
  const flow = await open(2);
  const operator = createOperator(client);
  for (const id of flow.ids) expect(await operator.cancel(QUEUE, id)).toBe('cancelled');
  await end(flow, 'cancelled');
  expect(await stateOf(flow.id)).toBe('accepting');
  await workflows.commit(QUEUE, flow.id, 1);
  expect(await stateOf(flow.id)).toBe('cancelled');
  await actOnSteps(client, PLACE, 'free', 1, flow.ids);
  await expectBalanced(client, QUEUE);
});

test('one step that ended before the commit counts beside those that end later, and cancels them where that is asked for', async () => {
  const { open, begin, end, workflows, stateOf } = await stage();
  for (const cancelSiblings of [false, true]) {
    const flow = await open(2, { cancelSiblings });
    const [first = '', second = ''] = flow.ids;
    await end({ ...flow, ids: [first] }, 'dead');
    await begin(flow);
    expect(await workflows.isCancelling(QUEUE, flow.id)).toBe(cancelSiblings);
    expect(await stateOf(flow.id)).toBe('running');
    await end({ ...flow, ids: [second] }, 'succeeded');
    expect(await stateOf(flow.id)).toBe('dead');
  }
});

test('the key of a workflow that was taken back is free: sent again, it is another one', async () => {
  const { open, workflows, sweepAll, clock, begin, stateOf } = await stage();
  const taken = await open(1, { key: 'k' });
  await workflows.withdraw(QUEUE, taken.id, 1);
  const again = await open(1, { key: 'k' });
  expect(again.word).toBe('opened');
  await begin(again);
  // When the record of the first goes, the key stays with the second.
  await client.del(keyOf(PLACE, 'pins'));
  await clock.advance(6_000);
  await sweepAll();
  expect(await stateOf(taken.id)).toBeUndefined();
  expect((await workflows.findKey(QUEUE, 'k'))?.id).toBe(again.id);
});

const PLAN = { home: QUEUE, name: 'b' };

test('a batch that came with its tasks is no success when some of them were never accepted', async () => {
  const { clock } = await stage();
  const batches = createBatches(client);
  const [whole, filled] = [clock.newTaskId(), clock.newTaskId()];
  await batches.open({ ...PLAN, id: whole }, 'd'.repeat(43), {}, [[QUEUE, 2]]);
  await batches.open({ ...PLAN, id: filled }, 'd'.repeat(43), {});
  await batches.reserve(QUEUE, filled, [[QUEUE, 2]]);
  await batches.close(QUEUE, filled);
  for (const batch of [whole, filled])
    await confirmMembers(client, QUEUE, [{ batch, from: 0, queues: [[QUEUE, 2]] }]);
  const progressOf = async (id: string) => (await batches.find(id, [QUEUE]))?.progress;
  expect(await progressOf(whole)).toMatchObject({ members: 2, ended: 2, cancelled: 2, succeeded: 0 });
  expect(await progressOf(whole)).not.toHaveProperty('isSuccess');
  // Whoever filled it was told that these were not accepted, and has sent others.
  expect(await progressOf(filled)).toMatchObject({ members: 0, isSuccess: true });
});

test('the record of a batch that succeeds later is kept from then on', async () => {
  const { clock, sweepAll } = await stage();
  const batches = createBatches(client);
  const id = clock.newTaskId();
  await batches.open({ ...PLAN, id }, 'd'.repeat(43), {}, [[QUEUE, 1]]);
  await batches.confirm(QUEUE, id, 0, [[QUEUE, 1]], []);
  const tell = (latest: number, state: string) =>
    countEnds(client, QUEUE, [{ batch: id, number: 0, latest, state }]);
  await tell(1, 'dead');
  await clock.advance(4_000);
  await tell(2, 'retried');
  await tell(3, 'succeeded');
  await clock.advance(2_000);
  await sweepAll();
  expect(await batches.find(id, [QUEUE])).toBeDefined();
  await clock.advance(4_000);
  await sweepAll();
  expect(await batches.find(id, [QUEUE])).toBeUndefined();
});
