// The protocol number of a queue: a release that does not keep the queue changes nothing of it, and is told why.

import { beforeEach, expect, test } from 'vitest';
import { encodeContent } from '../../src/protocol/message.ts';
import { readSchedule, type Schedule } from '../../src/protocol/schedule.ts';
import { encodeCbor } from '../../src/protocol/cbor.ts';
import { newTaskId } from '../../src/protocol/task-id.ts';
import { type ClaimedTask, createConsumer } from '../../src/store/consumer.ts';
import { createEventLog } from '../../src/store/event-log.ts';
import { createInspector } from '../../src/store/inspector.ts';
import { homeOf, PROBE_PLACE } from '../../src/store/keys.ts';
import { listTasks } from '../../src/store/lister.ts';
import { completeSources } from '../../src/store/waits.ts';
import { settleNeeds } from '../../src/store/needs.ts';
import { createOperations, operate } from '../../src/store/operations.ts';
import { createOperator } from '../../src/store/operator.ts';
import { createOutbox, type Follower } from '../../src/store/outbox.ts';
import type { TaskExtras } from '../../src/store/new-task.ts';
import { createProducer } from '../../src/store/producer.ts';
import { PROTOCOL } from '../../src/store/protocol-number.ts';
import { createSchedules } from '../../src/store/schedules.ts';
import { CARRIED } from '../../src/store/record.ts';
import type { ScriptArgument } from '../../src/store/script-call.ts';
import { runScript, type ScriptName } from '../../src/store/scripts.ts';
import { isOutage, isReplyLost, toStoreError } from '../../src/store/store-error.ts';
import { createSweeper } from '../../src/store/sweeper.ts';
import { runTicks } from '../../src/store/ticks.ts';
import { queueKey, readyKey } from '../support/queue-key.ts';
import { startStore } from '../support/store.ts';

const { client } = await startStore();

const QUEUE = 'mail';
const KEY = queueKey(QUEUE);
const FOLLOWER: Follower = {
  queue: 'news',
  lane: 'normal',
  content: encodeContent('add', { one: 2, two: 2 }),
};
const CONTENT = encodeContent('add', { one: 1, two: 2 });

const producer = createProducer(client);
const worker = createConsumer(client, homeOf(QUEUE), 'w1', 60_000);
const idle = createConsumer(client, homeOf(QUEUE), 'w2', 60_000);
const operator = createOperator(client);
const operations = createOperations(client);
const schedules = createSchedules(client);
const outbox = createOutbox(client);
const inspector = createInspector(client);
const sweep = createSweeper(client, {
  leaseMs: 60_000,
  slice: 100,
  popGraceMs: 1_000,
  retentionMs: 0,
  retentionBytes: 0,
  periodMs: 1_000,
});

async function accept(extras?: TaskExtras): Promise<string> {
  const id = newTaskId();
  await producer.enqueue(QUEUE, [{ id, content: CONTENT, lane: 'normal', extras }]);
  return id;
}

async function claim(): Promise<ClaimedTask> {
  const [task] = (await worker.claim([], 1)).tasks;
  if (!task) throw new Error('there is nothing to claim');
  return task;
}

async function end(task: ClaimedTask, word: 'succeeded' | 'dead', payload: Buffer): Promise<void> {
  const { id, token, content } = task;
  await worker.finish([{ id, token, word, contentBytes: content.length, payload, delayMs: 0 }], 0);
}

function everyMinute(): Schedule {
  const schedule = readSchedule(encodeCbor({ everyMs: 60_000, type: 'add', input: { one: 1, two: 2 } }));
  if (typeof schedule === 'string') throw new Error(schedule);
  return schedule;
}

interface Filled {
  readonly running: ClaimedTask;
  readonly dead: string;
  readonly waiting: string;
}

/** A queue with a task in each state, a schedule whose tick is due, an end to relay, and a message that a worker has popped. */
async function fill(): Promise<Filled> {
  await accept();
  const dead = await claim();
  await end(dead, 'dead', encodeCbor({ name: 'Error', message: 'no' }));
  await outbox.follow(QUEUE, dead.id, FOLLOWER);
  await accept();
  await end(await claim(), 'succeeded', encodeCbor(3));
  await accept();
  const running = await claim();
  await worker.report([{ id: running.id, token: running.token, progress: undefined, lines: ['a line'] }]);
  await accept({ delayMs: 1 });
  await accept({ ttlMs: 1 });
  await schedules.put(QUEUE, 'tick', everyMinute());
  await client.zadd(`${KEY}:ticks`, 1, 'tick');
  await client.hset(`${KEY}:error-groups`, 'a kind', `1 1 ${dead.id} {}`);
  await operations.open(newTaskId(), { action: 'retry', filter: { queue: QUEUE } }, undefined);
  await accept();
  await client.rpop(readyKey(QUEUE, 'normal'));
  const waiting = await accept({ key: { key: 'k', windowMs: 60_000, digest: 'd' } });
  await client.hdel(`${KEY}:queue`, 'sweep_at');
  return { running, dead: dead.id, waiting };
}

/** Every key of the queue with all that it holds. */
async function dump(): Promise<Record<string, string>> {
  const keys = (await client.keys('*')).filter((key) => key.startsWith(`${KEY}:`)).sort();
  const values = await Promise.all(keys.map((key) => client.dumpBuffer(key)));
  return Object.fromEntries(keys.map((key, at) => [key, values[at]?.toString('base64') ?? '']));
}

type Reader =
  | 'load'
  | 'ledger'
  | 'read'
  | 'await'
  | 'rows'
  | 'scan'
  | 'page'
  | 'snapshot'
  | 'explain'
  | 'probe'
  | 'search'
  | 'group'
  | 'ignored'
  | 'matches'
  | 'moving'
  | 'needs';

const oneTask = (): ScriptArgument[] => {
  const id = newTaskId();
  return [1, id, id, encodeContent('add', {})];
};

const oneWorkflow = (): ScriptArgument[] => [newTaskId(), '', '', '{}', 'step:mail:x', 1, 0, 1_000];

/** One call of each script that changes something, each of which would. */
const CHANGES: Record<Exclude<ScriptName, Reader>, (filled: Filled) => Promise<unknown>> = {
  enqueue: () => runScript(client, 'enqueue', homeOf(QUEUE), oneTask()),
  hand: () => accept(),
  wait: () =>
    runScript(client, 'wait', homeOf(QUEUE), [
      newTaskId(),
      encodeContent('add', {}),
      'normal',
      '{}',
      'fail n:1 n',
    ]),
  settle: ({ waiting }) =>
    settleNeeds(client, homeOf(QUEUE), [{ id: waiting, need: 'n:1', outcome: 'succeeded' }]),
  claim: () => idle.claim([], 1),
  finish: ({ running }) => end(running, 'succeeded', encodeCbor(3)),
  'finish-any': ({ running }) => end(running, 'dead', encodeCbor({ name: 'Error', message: 'on purpose' })),
  beat: () => idle.beat([]),
  order: () => operator.order(QUEUE, 'w1', 'quiet'),
  held: ({ running }) => runScript(client, 'held', homeOf(QUEUE), ['w1', running.id]),
  leave: () => worker.leave(),
  report: ({ running: { id, token } }) =>
    worker.report([{ id, token, progress: { percent: 5, note: undefined }, lines: ['another line'] }]),
  sweep: () => sweep(homeOf(QUEUE)),
  tick: () =>
    runTicks(client, QUEUE, {
      ticks: [{ name: Buffer.from('tick'), due: '1', definition: encodeCbor({ everyMs: 60_000 }) }],
      plans: [],
      now: Date.now(),
      lateSince: Date.now(),
    }),
  schedule: () => schedules.put(QUEUE, 'another', everyMinute()),
  cancel: ({ waiting }) => operator.cancel(QUEUE, waiting),
  retry: ({ dead }) => operator.replay(QUEUE, dead),
  remove: ({ dead }) => operator.remove(QUEUE, dead),
  source: ({ running }) => worker.source(running, '.token', '-'),
  complete: ({ waiting }) =>
    completeSources(client, homeOf(QUEUE), [{ id: waiting, source: '.token', word: 'succeeded' }]),
  'batch-open': () =>
    runScript(client, 'batch-open', homeOf(QUEUE), ['open', newTaskId(), '', '', '{}', '', '', '', 1_000]),
  batch: () => runScript(client, 'batch', homeOf(QUEUE), ['close', 'none']),
  void: ({ dead }) => runScript(client, 'void', homeOf(QUEUE), ['mail 0 none/', dead]),
  checkpoint: ({ running }) => worker.checkpoint(running, Buffer.from([1])),
  pause: () => operator.pause(QUEUE),
  ignore: () => runScript(client, 'ignore', homeOf(QUEUE), ['a kind', 'ignore', '', '']),
  follow: ({ running }) => outbox.follow(QUEUE, running.id, FOLLOWER),
  relay: () => outbox.take(homeOf(QUEUE), 10),
  operation: () => operations.open(newTaskId(), { action: 'retry', filter: { queue: QUEUE } }, undefined),
  arrive: ({ running: { content } }) => {
    const header = 'moved 0 0 0 normal 0 0 -';
    const values = CARRIED.map(() => '');
    return runScript(client, 'arrive', homeOf(QUEUE), [
      newTaskId(),
      'm',
      'ready',
      header,
      content,
      ...values,
    ]);
  },
  moved: ({ dead }) => runScript(client, 'moved', homeOf(QUEUE), [`${dead}:1`]),
  operate: () => operate(client, homeOf(QUEUE), 'a server', 10),
  step: ({ dead }) => runScript(client, 'step', homeOf(QUEUE), ['free', 1, dead]),
  rewait: ({ dead }) => runScript(client, 'rewait', homeOf(QUEUE), [2, 1_000, dead, 'fail n:1 n']),
  'workflow-open': () => runScript(client, 'workflow-open', homeOf(QUEUE), oneWorkflow()),
  workflow: () => runScript(client, 'workflow', homeOf(QUEUE), ['commit', 'none', 1]),
  marks: ({ dead }) => outbox.settleMarks(homeOf(QUEUE), [`${dead} mail 0 ${dead}:1`]),
};
const NAMES = Object.keys(CHANGES) as (keyof typeof CHANGES)[];

/** How the queue comes to be kept by another release, and what its releases are then told. */
const OTHERS: readonly (readonly [what: string, make: () => Promise<unknown>, sentence: string])[] = [
  [
    'a newer release',
    () => client.hset(`${KEY}:queue`, 'protocol', '4'),
    'The queue "mail" is kept by a newer release of popfleet (protocol 4, this is 3): upgrade this one.',
  ],
  [
    'the releases before the number',
    async () => {
      await client.del(`${KEY}:queue`, `${KEY}:control`);
      await client.hset(`${KEY}:control`, 'wall', Date.now(), 'skew', 0, 'sweep_at', 1);
    },
    'The queue "mail" is kept by an earlier release of popfleet (protocol 1, this is 3), whose tasks this one cannot take over: let that release finish them, then delete the keys pf:{mail}:* or give this one another database of Redis.',
  ],
  [
    'an earlier number',
    () => client.hset(`${KEY}:queue`, 'protocol', '1'),
    'The queue "mail" is kept by an earlier release of popfleet (protocol 1, this is 3), which this one cannot take over.',
  ],
  [
    'a number that is none',
    () => client.hset(`${KEY}:queue`, 'protocol', 'two'),
    'The queue "mail" is kept by a newer release of popfleet (protocol two, this is 3): upgrade this one.',
  ],
];

beforeEach(async () => {
  await client.flushall();
});

test.each(OTHERS)(
  'a queue that is kept by %s: each script that changes something is refused, and has not changed a byte',
  async (_, make, sentence) => {
    const filled = await fill();
    await make();
    const before = await dump();
    let closed = 0;
    client.on('close', () => (closed += 1));
    for (const name of NAMES) {
      const error = await CHANGES[name](filled).then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      expect([name, toStoreError(error)]).toMatchObject([
        name,
        { code: 'upgrade-needed', status: 503, message: sentence, retryAfterSeconds: 30 },
      ]);
      expect([name, isOutage(error), isReplyLost(error)]).toEqual([name, false, false]);
      expect(await dump()).toEqual(before);
    }
    // It is no fault of the connection.
    expect([closed, client.status]).toEqual([0, 'ready']);
  },
);

test.each(NAMES)('control: %s changes the queue when this release keeps it', async (name) => {
  const filled = await fill();
  expect(await client.hget(`${KEY}:queue`, 'protocol')).toBe(String(PROTOCOL));
  // The clock alone would be a change.
  await client.hset(`${KEY}:queue`, 'wall', '1', 'skew', '0');
  const before = await dump();
  await CHANGES[name](filled);
  expect(await dump()).not.toEqual(before);
});

test.each(OTHERS)('a queue that is kept by %s is shown', async (_, make, sentence) => {
  const { running, waiting, dead } = await fill();
  await make();
  const before = await dump();
  expect(await inspector.task(running.id, new Set([QUEUE]), true)).toMatchObject({ state: 'running' });
  const query = { queue: QUEUE, terms: [], accept: () => true, limit: 50, cursor: undefined };
  const all = await listTasks(client, { ...query, state: undefined });
  expect(all.records.map(({ id }) => id)).toEqual(expect.arrayContaining([running.id, waiting, dead]));
  const dying = await listTasks(client, { ...query, state: 'dead' });
  expect(dying.records.map(({ id }) => id)).toEqual([dead]);
  expect(await inspector.queue(QUEUE)).toMatchObject({ queue: QUEUE, counts: { accepted: 7, running: 1 } });
  expect(await inspector.workers(QUEUE)).toMatchObject([{ worker: 'w1' }]);
  expect(await createEventLog(client).task(QUEUE, waiting)).toMatchObject({ record: { state: 'ready' } });
  expect(await inspector.explain(QUEUE, waiting)).toMatchObject({ ahead: 2, refusal: sentence });
  await runScript(client, 'probe', PROBE_PLACE, ['all']);
  expect(await dump()).toEqual(before);
});

test.each(['enqueue', 'hand', 'beat', 'sweep', 'pause', 'claim'] as const)(
  'the first call of all, %s, gives the queue its number, and a text that stops the releases before it',
  async (name) => {
    await CHANGES[name]({ running: {} as ClaimedTask, dead: '', waiting: '' });
    expect(await client.hget(`${KEY}:queue`, 'protocol')).toBe('3');
    expect(await client.get(`${KEY}:control`)).toBe(
      'popfleet keeps this queue by protocol 3. This text keeps releases out that know no protocol numbers: leave it here.',
    );
    // What each script of theirs that changes something begins with.
    const fields = ['wall', 'skew', 'paused', 'sweep_at'] as const;
    await expect(client.hmget(`${KEY}:control`, ...fields)).rejects.toThrow(/^WRONGTYPE/);
    // Another call writes neither again.
    await client.set(`${KEY}:control`, 'changed');
    await accept();
    expect(await client.get(`${KEY}:control`)).toBe('changed');
  },
);

test('a queue whose number was lost beside its text gets it again, and so does one that only foreign programs filled', async () => {
  await accept();
  await client.hdel(`${KEY}:queue`, 'protocol');
  await accept();
  expect(await client.hget(`${KEY}:queue`, 'protocol')).toBe('3');

  await client.flushall();
  await client.lpush(readyKey(QUEUE, 'normal'), 'x');
  await idle.claim([], 1);
  expect(await client.hget(`${KEY}:queue`, 'protocol')).toBe('3');
});

test('a reader gives a queue no number', async () => {
  await inspector.explain(QUEUE, newTaskId());
  expect(await dump()).toEqual({});
});
