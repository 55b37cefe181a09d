// A tick starts one workflow, however many workers hear that it is due, and whatever dies before its steps are accepted.

import { expect, test } from 'vitest';
import type { WorkflowSchedule } from '../../src/protocol/schedule.ts';
import { homeOf, keyOf } from '../../src/store/keys.ts';
import { createOutbox, type OutboxEntry } from '../../src/store/outbox.ts';
import { createProducer } from '../../src/store/producer.ts';
import { runTicks } from '../../src/store/ticks.ts';
import { createWorkflows } from '../../src/store/workflows.ts';
import { createRelay } from '../../src/upkeep/relay.ts';
import { beginWorkflow } from '../../src/workflows/begin-workflow.ts';
import { createLinks } from '../../src/workflows/links.ts';
import { buildScriptsWithClock } from '../support/model-clock.ts';
import { countsOf, expectBalanced } from '../support/moves.ts';
import { KEY, QUEUE } from '../support/scripted-queue.ts';
import { openStore, silentLog, startStore } from '../support/store.ts';
import { openTicking } from '../support/ticking.ts';

const { redis, client } = await startStore(buildScriptsWithClock);
const PLACE = homeOf(QUEUE);
const OTHER = 'other';
const store = createWorkflows(client);

/** Two steps in two queues, the second of which needs the first. */
function flow(more: Partial<WorkflowSchedule> = {}): WorkflowSchedule {
  return {
    everyMs: 60_000,
    timeZone: 'UTC',
    misfire: 'skip',
    paused: false,
    workflow: {
      name: 'nightly',
      tasks: {
        first: { type: 'add', input: { one: 1, two: 2 }, maxAttempts: 2 },
        second: { type: 'add', needs: ['first'] },
      },
    },
    steps: [
      ['first', QUEUE, 'high', '{"resultTtlMs":5}'],
      ['second', OTHER, 'normal', '{}'],
    ],
    ...more,
  };
}

async function relayAll(): Promise<void> {
  const [outbox, links] = [createOutbox(client), createLinks(client)];
  const relay = createRelay({ outbox, producer: createProducer(client), links, log: silentLog });
  for (let rounds = 0; rounds < 4; rounds += 1) {
    for (const queue of [QUEUE, OTHER]) relay.soon(homeOf(queue));
    await relay.settled();
  }
}

/** One tick that is due now; answers what its workflow is called, and takes the entries that have its steps accepted. */
async function openTick(one = flow()) {
  const queue = await openTicking(client);
  const due = queue.clock.now();
  await plan(queue, one, due);
  const { reports } = await queue.tickAll();
  const [report] = reports;
  if (report?.word !== 'started') throw new Error(`the tick has ${report?.word ?? 'done nothing'}`);
  return { ...queue, due, id: report.workflow };
}

const plan = async (
  { plan: put }: Awaited<ReturnType<typeof openTicking>>,
  one: WorkflowSchedule,
  due: number,
) => put('nightly', one, due);

const stateOf = async (id: string) => (await store.find(id, [QUEUE]))?.progress.state;

test('its steps are accepted with what was resolved when the schedule was put, and run in the order of their needs', async () => {
  const { id, due, take, finish, task } = await openTick();
  expect(await stateOf(id)).toBe('accepting');
  expect(await client.hget(`${KEY}:last-runs`, 'nightly')).toBe(`${due} ${id} workflow`);
  await relayAll();
  const { plan: record, progress } = (await store.find(id, [QUEUE])) ?? {};
  expect([record, progress]).toMatchObject([
    { home: QUEUE, name: 'nightly', schedule: { name: 'nightly', due } },
    { state: 'running', total: 2 },
  ]);
  const first = await task(record?.steps[0]?.id ?? '');
  expect(first).toMatchObject({ state: 'ready', lane: 'high' });
  expect(await countsOf(client, OTHER)).toEqual({ accepted: 1, waiting: 1 });
  await finish(await take(1));
  await relayAll();
  expect(await countsOf(client, OTHER)).toEqual({ accepted: 1, ready: 1 });
  expect(await client.exists(keyOf(PLACE, 'workflow-drafts'), keyOf(PLACE, 'workflow-deadlines'))).toBe(0);
  for (const queue of [QUEUE, OTHER]) await expectBalanced(client, queue);
});

test('ten workers at the same time start one workflow; a tick that comes again starts none', async () => {
  const others = await Promise.all(
    Array.from({ length: 10 }, () => openStore(redis.url, buildScriptsWithClock)),
  );
  const queue = await openTicking(client);
  const due = queue.clock.now();
  const started = new Set<string>();
  for (const rounds of [1, 2]) {
    await plan(queue, flow(), due);
    const swept = await queue.sweep();
    const reports = (await Promise.all(others.map((worker) => runTicks(worker, QUEUE, swept)))).flat();
    expect(reports, `round ${rounds}`).toMatchObject([{ word: 'started' }]);
    for (const report of reports) if (report.word === 'started') started.add(report.workflow);
    // The clock of Redis was set back: the same tick is due once more.
    await client.hdel(`${KEY}:queue`, 'ticks_named');
    await relayAll();
  }
  for (const other of others) other.disconnect();
  expect(started.size).toBe(1);
  expect(await client.hlen(`${KEY}:workflows`)).toBe(1);
  expect(await countsOf(client, QUEUE)).toMatchObject({ accepted: 1 });
  expect(await countsOf(client, OTHER)).toMatchObject({ accepted: 1 });
});

test('whoever accepts its steps may die in the middle, and two may do it at once', async () => {
  const { id } = await openTick();
  const dies = { ...store, accept: (queue: string, tasks: never) => acceptOrDie(queue, tasks) };
  async function acceptOrDie(queue: string, tasks: never): Promise<void> {
    if (queue === OTHER) throw new Error('dies');
    await store.accept(queue, tasks);
  }
  await expect(beginWorkflow(client, dies, QUEUE, id)).rejects.toThrow('dies');
  expect(await stateOf(id)).toBe('accepting');
  expect(await countsOf(client, QUEUE)).toEqual({ accepted: 1, waiting: 1 });
  await Promise.all([1, 2, 3].map(() => beginWorkflow(client, store, QUEUE, id)));
  await relayAll();
  expect(await stateOf(id)).toBe('running');
  expect(await countsOf(client, QUEUE)).toMatchObject({ accepted: 1, ready: 1 });
  expect(await countsOf(client, OTHER)).toMatchObject({ accepted: 1, waiting: 1 });
});

test('one that nobody has begun is still there an hour later, and is begun then', async () => {
  const { id, clock, sweepAll } = await openTick();
  await clock.advance(3_600_000);
  const swept = await sweepAll();
  expect(Math.max(...swept.map(({ toRelay }) => toRelay))).toBe(1);
  expect(await stateOf(id)).toBe('accepting');
  await relayAll();
  expect(await stateOf(id)).toBe('running');
});

test('one that is cancelled before it has begun never begins; a step of it that is there is cancelled', async () => {
  const { id } = await openTick();
  const outbox = createOutbox(client);
  const entries: readonly OutboxEntry[] = await outbox.take(PLACE, 9);
  const { plan: record } = (await store.find(id, [QUEUE])) ?? {};
  const half = { ...store, commit: () => Promise.reject(new Error('dies')) };
  await expect(beginWorkflow(client, half, QUEUE, id)).rejects.toThrow('dies');
  await store.cancel(QUEUE, id);
  await createLinks(client).tell(
    'begin',
    QUEUE,
    entries.map((entry) => ({ entry, link: { kind: 'begin', queue: QUEUE, id } })),
  );
  await relayAll();
  expect(await stateOf(id)).toBe('cancelled');
  expect(record?.steps).toHaveLength(2);
  for (const queue of [QUEUE, OTHER])
    expect(await countsOf(client, queue)).toMatchObject({ accepted: 1, cancelled: 1 });
});

test('tasks that another program has spoilt take their workflow back', async () => {
  const { id } = await openTick();
  await client.hset(keyOf(PLACE, 'workflow-drafts'), id, 'spoilt');
  await relayAll();
  expect(await stateOf(id)).toBe('cancelled');
  expect(await client.exists(keyOf(PLACE, 'workflow-drafts'), keyOf(PLACE, 'outbox'))).toBe(0);
});

test('a schedule that was changed since it was read starts nothing; one whose steps are not prepared is faulty', async () => {
  const queue = await openTicking(client);
  const due = queue.clock.now();
  await plan(queue, flow(), due);
  const swept = await queue.sweep();
  await plan(queue, flow({ paused: true }), due);
  expect(await runTicks(client, QUEUE, swept)).toEqual([]);
  await plan(queue, flow({ steps: [] }), due);
  await client.hdel(`${KEY}:queue`, 'ticks_named');
  expect((await queue.tickAll()).reports).toMatchObject([
    { word: 'faulty', fault: expect.stringContaining('are not prepared') },
  ]);
  expect(await client.exists(`${KEY}:workflows`)).toBe(0);
});
