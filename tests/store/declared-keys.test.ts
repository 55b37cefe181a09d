// Every script touches the keys that it declares and no others: in a cluster, Redis moves keys by what a call declares.
// All scripts are driven through all their branches, with a check in front of each call of Redis that stands in them.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeCbor } from '../../src/protocol/cbor.ts';
import { LANES } from '../../src/protocol/lane.ts';
import { encodeContent } from '../../src/protocol/message.ts';
import { newTaskId } from '../../src/protocol/task-id.ts';
import { homeOf } from '../../src/store/keys.ts';
import { createOperator } from '../../src/store/operator.ts';
import { createOutbox, writeFollower } from '../../src/store/outbox.ts';
import { createProducer } from '../../src/store/producer.ts';
import { buildScripts, runScript, type ScriptName } from '../../src/store/scripts.ts';
import { foreignMessage } from '../fixtures/foreign-message.ts';
import { AWAITED_BRANCHES } from '../support/awaited-branches.ts';
import { BATCH_BRANCHES } from '../support/batch-branches.ts';
import { BEGUN_BRANCHES } from '../support/begun-branches.ts';
import { HAND_BRANCHES } from '../support/hand-branches.ts';
import { checkScripts, keepNotes } from '../support/checked-scripts.ts';
import { buildScriptsWithClock, createModelClock } from '../support/model-clock.ts';
import { worldsOf } from '../support/model-worlds.ts';
import { expectBalanced } from '../support/moves.ts';
import { IGNORED_BRANCHES } from '../support/ignored-branches.ts';
import { NEEDS_BRANCHES } from '../support/needs-branches.ts';
import { openOperatedQueue } from '../support/operated-queue.ts';
import { toOutcome } from '../support/outcome.ts';
import { readyKey } from '../support/queue-key.ts';
import { QueuesModel } from '../support/queues-model.ts';
import { BRANCHES } from '../support/script-branches.ts';
import { WORKFLOW_BRANCHES } from '../support/workflow-branches.ts';
import { KEY, openScriptedQueue, QUEUE } from '../support/scripted-queue.ts';
import { startStore } from '../support/store.ts';
import { WAITS_BRANCHES } from '../support/waits-branches.ts';

const SEED = 20_260_101;
const WORLDS = 6;
const WORKERS = 3;
/** More than is kept of a log, in two parts. */
const LINES = Array.from({ length: 700 }, (_, at) => `line ${at}`);
const ERROR = encodeCbor({ name: 'Error', message: 'm' });

/** Calls that a script never makes, although a function that it calls has them. */
const UNREACHED: readonly (readonly [scripts: string, call: string, why: string])[] = [
  ['claim finish', 'Q.LATER', 'no guard names a time when a task is due'],
  ['finish', 'Q.DEAD, Q.NOW', 'it ends tasks as succeeded'],
  ['finish', "'sweep_at', due", 'what it appends is relayed later than the next sweep'],
  ['finish', "'PUBLISH'", 'likewise'],
  ['cancel remove operate', 'Q.DEAD, Q.NOW', 'it ends tasks as cancelled'],
  ['moved', "'HSET', column, written", 'it drops rows, and writes none'],
  ['moved', 'Q.KEPT, Q.NOW', 'its tasks are pinned by nothing else'],
  ['moved', "'HINCRBY', Q.PINS", 'likewise'],
  ['remove', 'Q.DONE', 'what it cancels goes at once'],
  ['cancel', 'Q.SOURCE', 'likewise'],
  ['moved', 'Q.SOURCE', 'a task that may wait for something goes to no other queue'],
  ['settle', 'Q.SOURCE_VALUES', 'a task that waits for others has not run'],
  ['cancel step', 'Q.LOGS)', 'it drops no row'],
  ['cancel step', 'Q.SEARCH', 'likewise'],
  ['cancel step', 'Q.LOG_LINES, unpack', 'likewise'],
  ['cancel step', "'HDEL', column", 'likewise'],
  ['cancel step', 'Q.NEED', 'likewise'],
  ['batch-open', 'Q.LAST_ERRORS', 'one that ends at once has succeeded'],
  ['step', 'Q.SOURCE', 'likewise'],
  ['moved', 'Q.NEEDS, id', 'no task with needs goes to another queue'],
  ['moved', 'Q.NEED_VALUES', 'likewise'],
  ['settle', 'Q.LOG_LINES', 'a task that waits has not run'],
  ['report', 'Q.COUNT', 'it moves no task'],
];

/** The same call in the script that is of the same file, with more parts. */
function inSameFile(site: string): string {
  return site.replace(/^finish-any /, 'finish ');
}

const checked = checkScripts(buildScriptsWithClock());
const { client } = await startStore((build) => checkScripts(buildScriptsWithClock(build)).scripts);
const notes = keepNotes(client);
const operator = createOperator(client);

describe('every branch of the scripts', () => {
  test('a queue in a hostile world', async () => {
    for (const steps of fc.sample(worldsOf(WORKERS), { seed: SEED, numRuns: WORLDS })) {
      await client.config('SET', 'maxmemory', '0');
      await client.flushall();
      const [producer, clock] = [createProducer(client), await createModelClock(client)];
      const world = { client, producer, clock, workers: WORKERS, flaws: {}, ears: undefined };
      const model = new QueuesModel(['model'], world);
      for (const step of steps) await model.run(step);
      await model.settle();
      await model.checkEnd();
    }
  });

  test('tasks that bring everything that a task may bring, and end in every way', async () => {
    const { clock, enqueue, take, finish, report, sweepAll, worker } = await openScriptedQueue(client, {
      retentionMs: 5_000,
    });
    const all = { ttlMs: 50_000, resultTtlMs: 60_000 };
    await sweepAll();
    for (const lane of LANES) await enqueue(2, all, lane);
    // Sooner than the next sweep.
    await enqueue(2, { ...all, delayMs: 10 });
    const words = [
      'succeeded',
      'failed',
      'snoozed',
      'released',
      'unbegun',
      'dead',
      'cancelled',
      'crashed',
    ] as const;
    for (const word of words) {
      await enqueue(1, all);
      await sweepAll();
      const [task] = await take(1);
      if (!task) throw new Error('there is nothing to take');
      await report([task], { percent: 1, note: 'n' }, LINES);
      await report([task], { percent: 2, note: 'n' }, LINES);
      await finish([task], word, { payload: ERROR, resultTtlMs: 100, delayMs: 10, hasHistory: true });
      await clock.advance(10);
    }
    for (const begun of [1, 'all'] as const) {
      await worker.beat([{ id: newTaskId(), token: 'none' }], { begun, free: 1 });
      await worker.claim([], 0, {}, { begun, free: 1 });
      await worker.finish([], 0, {}, { begun, free: 0 });
    }
    for (const ms of [1_000, 5_000, 100_000]) {
      await clock.advance(ms);
      await sweepAll();
    }
    // Too late before it is due.
    await enqueue(1, { ttlMs: 10, delayMs: 1_000 });
    await clock.advance(500);
    await sweepAll();
    await expectBalanced(client, QUEUE);
  });

  test('an idempotency key that is free, known, taken, and free again', async () => {
    const { clock, enqueue, sweepAll } = await openScriptedQueue(client);
    await sweepAll();
    const key = { key: 'k', windowMs: 500, digest: 'd' };
    await enqueue(2, { key });
    await enqueue(1, { key: { ...key, digest: 'other' } });
    await clock.advance(1_000);
    await sweepAll();
    await enqueue(1, { key });
    expect(await client.hget(`${KEY}:count`, 'accepted')).toBe('2');
  });

  test('what other programs push, and what they spoil', async () => {
    const { clock, worker, enqueue, take } = await openScriptedQueue(client);
    const push = (): Promise<number> => {
      const whole = foreignMessage(newTaskId(), 'add', Buffer.from('a0', 'hex'));
      return client.lpush(readyKey(QUEUE, 'normal'), whole, 'no message');
    };
    // Each too late to be started, and one of them with a log that it cannot have.
    const pushLate = async (): Promise<void> => {
      const [id = ''] = await enqueue(2, { ttlMs: 10, resultTtlMs: 10 });
      await client.hset(`${KEY}:logs`, id, 40);
      await clock.advance(10);
    };
    await push();
    await pushLate();
    const { tasks } = await worker.claim([], 5);
    await push();
    await pushLate();
    const outcomes = tasks.map((task) => toOutcome(task, 'succeeded', 0));
    expect((await worker.finish(outcomes, 5)).tasks).toHaveLength(1);

    const [spoilt = ''] = await enqueue(1);
    await client.hset(`${KEY}:headers`, spoilt, 'none');
    expect(await take(1)).toEqual([]);
    expect(await operator.remove(QUEUE, spoilt)).toBe('removed');
  });

  test('a dead task that is retried with another input', async () => {
    const { kill } = await openOperatedQueue(client);
    const [id = ''] = await kill(1);
    const edited = { content: encodeContent('add', { one: 2, two: 2 }), terms: 'tag=b' };
    expect(await operator.replay(QUEUE, id, { isAnew: true, edited })).toBe('replayed');
    await expectBalanced(client, QUEUE);
  });

  test('finished tasks that are too old or too many', async () => {
    const { clock, enqueue, take, finish, sweepAll } = await openScriptedQueue(client, {
      retentionMs: 5_000,
      retentionBytes: 10_000,
    });
    for (const word of ['succeeded', 'dead'] as const) {
      await enqueue(40);
      await finish(await take(40), word, { payload: ERROR });
      await sweepAll();
    }
    await enqueue(1);
    await finish(await take(1));
    await clock.advance(10_000);
    await sweepAll();
    expect(await client.exists(`${KEY}:done`, `${KEY}:dead`)).toBe(0);
    await expectBalanced(client, QUEUE);
  });

  test('workers that are lost, with more tasks than one sweep looks at', async () => {
    const { clock, enqueue, take, report, sweep } = await openScriptedQueue(client, { periodMs: 400_000 });
    const lose = async (times: number, ms = 400_000): Promise<void> => {
      for (let sweeps = 0; sweeps < times; sweeps += 1) {
        await clock.advance(ms);
        await sweep();
      }
    };
    await enqueue(1);
    for (let claims = 0; claims < 2; claims += 1) {
      await report(await take(1), { percent: 1, note: 'n' }, LINES);
      await lose(3);
    }
    await operator.cancel(QUEUE, (await take(1))[0]?.id ?? '');
    await lose(3);
    await enqueue(600);
    await take(600);
    await lose(3);
    await lose(100, 1);
    expect(await client.scard(`${KEY}:running`)).toBe(0);
    await expectBalanced(client, QUEUE);
  });

  test('a worker that leaves', async () => {
    const { worker, enqueue, take, finish } = await openScriptedQueue(client);
    await enqueue(1);
    const tasks = await take(1);
    await worker.leave();
    await finish(tasks);
    await worker.leave();
    expect(await client.zcard(`${KEY}:workers`)).toBe(0);
  });

  test('what a person does to a task in each of its states', async () => {
    const { enqueue, take, finish, report, worker } = await openScriptedQueue(client);
    const all = { ttlMs: 50_000, resultTtlMs: 60_000 };
    for (const act of ['cancel', 'remove'] as const) {
      const [later = ''] = await enqueue(1, { ...all, delayMs: 100 });
      await operator[act](QUEUE, later);
      for (const word of ['released', 'dead'] as const) {
        const [id = ''] = await enqueue(1, all, 'high');
        const taken = await take(1);
        await operator[act](QUEUE, id);
        await client.hdel(`${KEY}:cancels`, id);
        await report(taken, { percent: 1, note: 'n' }, LINES);
        await finish(taken, word, { payload: ERROR });
        await operator[act](QUEUE, id);
        if ((await operator.replay(QUEUE, id)) === 'replayed') await operator.cancel(QUEUE, id);
      }
    }
    await enqueue(1);
    await operator.pause(QUEUE, 'a reason');
    const message = await client.rpopBuffer(readyKey(QUEUE, 'normal'));
    expect((await worker.claim([{ lane: 'normal', message: message as Buffer }], 0)).paused).toBe(true);
    await operator.resume(QUEUE);
    await expectBalanced(client, QUEUE);
  });

  test('the last task that something follows is removed', async () => {
    const { enqueue, sweepAll } = await openScriptedQueue(client);
    const follower = writeFollower({ queue: 'next', lane: 'normal', content: encodeContent('add', {}) });
    const [id = ''] = await enqueue(1, { follower });
    expect(await client.hget(`${KEY}:queue`, 'followed')).toBe('marked');
    await operator.cancel(QUEUE, id);
    const outbox = createOutbox(client);
    const [entry] = await outbox.take(homeOf(QUEUE), 10);
    await outbox.note(homeOf(QUEUE), [{ name: entry?.name ?? '', done: 'all' }]);
    await operator.remove(QUEUE, id);
    await sweepAll();
    expect(await client.hexists(`${KEY}:queue`, 'followed')).toBe(0);
  });

  test('the first contact with a queue, by each script', async () => {
    for (const name of Object.keys(checked.scripts) as ScriptName[]) {
      await openScriptedQueue(client);
      // What begins a script is what matters here: what it is asked for makes no sense.
      await runScript(client, name, homeOf(QUEUE), Array(12).fill('0')).catch((error: unknown) =>
        expect(String(error)).not.toMatch(/UNDECLARED|UNREADABLE/),
      );
    }
  });

  test.each(
    Object.entries({
      ...BRANCHES,
      ...AWAITED_BRANCHES,
      ...BATCH_BRANCHES,
      ...BEGUN_BRANCHES,
      ...HAND_BRANCHES,
      ...NEEDS_BRANCHES,
      ...IGNORED_BRANCHES,
      ...WAITS_BRANCHES,
      ...WORKFLOW_BRANCHES,
    }),
  )('%s', (_, drive) => drive(client));
});

describe('what became of it', () => {
  test('every call of Redis in every script was reached', async () => {
    const reached = await notes.sites();
    const missing = checked.sites.filter(({ name }) => !reached.has(name) && !reached.has(inSameFile(name)));
    const excuses = UNREACHED.map(([scripts, call]) =>
      missing.filter(({ script, text }) => scripts.split(' ').includes(script) && text.includes(call)),
    );
    const excused = new Set(excuses.flat());
    expect(missing.filter((site) => !excused.has(site)).map(({ name, text }) => `${name} ${text}`)).toEqual(
      [],
    );
    expect(UNREACHED.filter((_, at) => excuses[at]?.length === 0)).toEqual([]);
    console.info('declared keys', { sites: checked.sites.length, unreached: missing.length });
  });

  test('no key was touched but those that the script declares', async () => {
    const touched = await notes.touched();
    for (const [name, { keys }] of Object.entries(buildScripts())) {
      const own = [...touched].filter((one) => one.startsWith(`${name} `)).map((one) => one.split(' ')[1]);
      expect(own.length, name).toBeGreaterThan(0);
      expect(keys, name).toEqual(expect.arrayContaining(own));
    }
  });
});
