// Messages that were popped and never claimed: the reply of the pop, or the worker that made it, is gone.
// All with default settings.

import { expect, test } from 'vitest';
import { encodeContent } from '../../src/protocol/message.ts';
import { newTaskId } from '../../src/protocol/task-id.ts';
import { queueKey, readyKey } from '../support/queue-key.ts';
import { buildScripts } from '../../src/store/scripts.ts';
import { eventually } from '../support/eventually.ts';
import { expectBelow, msOf } from '../support/expect-below.ts';
import { JOURNAL_TASKS, openQueueFacts } from '../support/queue-facts.ts';
import { blockedClients, nodeOf } from '../support/servers-of.ts';
import { openJournalStage, openStage } from '../support/stage.ts';

/** What issue 2 promises from the moment on in which a live worker could see the loss. */
const BACK_WITHIN_MS = 5_000;

/** A worker of several queues is handed tasks of the first one alone, and pops those of the others. */
const popped = (queue: string): { readonly QUEUES: string } => ({ QUEUES: `other,${queue}` });

let queues = 0;
/** Each round has a queue of its own, and so a worker that has seen nothing yet. */
function newQueue(): string {
  queues += 1;
  return `round-${queues}`;
}

test('a message popped and thrown away before any worker ran is run by the first one', async (context) => {
  const { stage, redis, env } = await openJournalStage(context);
  const server = await stage.here('server', env);
  await expectBelow(BACK_WITHIN_MS, async () => {
    const queue = newQueue();
    const facts = openQueueFacts(redis, queue);
    const ids = await facts.send(server.url(), 3, 0);

    expect(await redis.client.rpop(readyKey(queue, 'normal'))).not.toBeNull();
    await stage.here('worker', { ...env, QUEUES: queue });

    return msOf(() => facts.expectAllDone(ids));
  });
});

test('a message thrown away in the step that pushed it runs, although a worker waits idle', async (context) => {
  const stage = openStage(context);
  const redis = await stage.redis();
  await expectBelow(BACK_WITHIN_MS, async () => {
    const queue = newQueue();
    const facts = openQueueFacts(redis, queue);
    const worker = await stage.here('worker', { ...JOURNAL_TASKS, REDIS_URL: redis.url, QUEUES: queue });
    await eventually(async () => (await blockedClients(redis.client)) === 1);

    // Within MULTI, or Redis would hand the message to the worker that waits.
    const { id, call } = enqueueOne(queue, 'enqueue');
    const { client } = await nodeOf(redis, queue);
    await client
      .multi()
      .eval(...call)
      .rpop(readyKey(queue, 'normal'))
      .exec();
    expect(await facts.counts()).toEqual({ accepted: 1, ready: 1 });
    expect(await facts.ready()).toBe(0);

    const tookMs = await msOf(() => facts.untilSucceeded([id]));
    expect(await facts.task(id)).toMatchObject({ claims: 1, crashes: 0 });
    await worker.stop();
    return tookMs;
  });
});

test('a task whose hand is thrown away in the step that sent it is run by its worker, once', async (context) => {
  // Workers of a cluster are handed none.
  context.skip(process.env['POPFLEET_TOPOLOGY'] === 'cluster');
  const stage = openStage(context);
  const redis = await stage.redis();
  await expectBelow(BACK_WITHIN_MS, async () => {
    const queue = newQueue();
    const facts = openQueueFacts(redis, queue);
    const worker = await stage.here('worker', { ...JOURNAL_TASKS, REDIS_URL: redis.url, QUEUES: queue });
    const channel = `${queueKey(queue)}:hand-${worker.worker()}`;
    await eventually(async () => Number((await redis.client.pubsub('NUMSUB', channel))[1]) === 1);
    await eventually(() => redis.client.exists(`${queueKey(queue)}:idle`));

    // What was published goes with the connection.
    const { id, call } = enqueueOne(queue, 'hand');
    await redis.client
      .multi()
      .eval(...call)
      .call('CLIENT', 'KILL', 'TYPE', 'pubsub')
      .exec();
    expect(await facts.counts()).toMatchObject({ accepted: 1 });
    expect(await facts.ready()).toBe(0);

    const tookMs = await msOf(() => facts.untilSucceeded([id]));
    expect(await facts.task(id)).toMatchObject({ worker: worker.worker(), claims: 1, crashes: 0 });
    await worker.stop();
    return tookMs;
  });
});

test('messages thrown away from the middle of a busy queue run, and so do all others, once', async (context) => {
  const { stage, redis, env } = await openJournalStage(context, { CONCURRENCY: '2' });
  const server = await stage.here('server', env);
  await expectBelow(BACK_WITHIN_MS, async () => {
    const queue = newQueue();
    const facts = openQueueFacts(redis, queue);
    await stage.here('worker', { ...env, QUEUES: queue });
    const ids = await facts.send(server.url(), 100, 50);

    for (let thrown = 1; thrown <= 4; thrown += 1) {
      await facts.untilBegun(ids, thrown * 10);
      expect(await redis.client.rpop(readyKey(queue, 'normal'))).not.toBeNull();
    }

    await facts.untilBegun(ids, 96);
    const tookMs = await msOf(() => facts.expectAllDone(ids));
    for (const id of ids) expect(facts.runs(id)).toBe(1);
    return tookMs;
  });
});

test('a worker killed between its pop and its claim: another worker runs the task', async (context) => {
  const { stage, redis, env: shared } = await openJournalStage(context);
  const server = await stage.here('server', shared);
  await expectBelow(BACK_WITHIN_MS, async () => {
    const queue = newQueue();
    const facts = openQueueFacts(redis, queue);
    const env = { ...shared, ...popped(queue) };
    const proxy = await stage.proxy(await nodeOf(redis, queue));
    // Its own sweeps must not find the loss before the other worker has started.
    const victim = await stage.role('worker', { ...env, REDIS_URL: proxy.url, POP_GRACE_MS: '60000' });
    const claim = proxy.hold('claim');
    const ids = await facts.send(server.url(), 1, 0);
    await claim.held;
    const other = await stage.here('worker', env);
    expect(await facts.counts()).toEqual({ accepted: 1, ready: 1 });
    expect(await facts.ready()).toBe(0);

    victim.signal('SIGKILL');
    await victim.exited;

    const tookMs = await msOf(() => facts.expectAllDone(ids));
    expect(await facts.task(ids[0] ?? '')).toMatchObject({ worker: other.worker(), claims: 1, crashes: 0 });
    return tookMs;
  });
});

/** A task, and the call that accepts it, as `EVAL` takes it. */
function enqueueOne(
  queue: string,
  script: 'enqueue' | 'hand',
): {
  readonly id: string;
  readonly call: [string, number, ...(string | Buffer)[]];
} {
  const id = newTaskId();
  const content = Buffer.from(encodeContent('add', { one: 1, two: 2 }));
  const { lua, keys } = buildScripts()[script];
  const own = keys.map((key) => `${queueKey(queue)}:${key}`);
  return { id, call: [lua, own.length, ...own, '1', id, id, content] };
}
