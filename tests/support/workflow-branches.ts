// Drives the scripts of workflows through their branches; declared-keys.test.ts looks at what they touch there.

import type { Redis } from 'ioredis';
import { expect } from 'vitest';
import { encodeCbor } from '../../src/protocol/cbor.ts';
import { encodeContent } from '../../src/protocol/message.ts';
import type { WorkflowSchedule } from '../../src/protocol/schedule.ts';
import { createConsumer } from '../../src/store/consumer.ts';
import { homeOf } from '../../src/store/keys.ts';
import { acceptWaiting, needOf, settleNeeds } from '../../src/store/needs.ts';
import { createOperations, operate } from '../../src/store/operations.ts';
import { createOperator } from '../../src/store/operator.ts';
import { createOutbox, type Link, writeLink } from '../../src/store/outbox.ts';
import { readDraft } from '../../src/store/scheduled-workflow.ts';
import { runScript } from '../../src/store/scripts.ts';
import { actOnSteps, confirmSteps, createWorkflows } from '../../src/store/workflows.ts';
import { createLinks } from '../../src/workflows/links.ts';
import { expectBalanced } from './moves.ts';
import { GROUP } from './outcome.ts';
import { KEY, openScriptedQueue, QUEUE, type ScriptedQueue } from './scripted-queue.ts';
import { openTicking } from './ticking.ts';

const CONTENT = encodeContent('add', { one: 1, two: 2 });
const ERROR = encodeCbor({ name: 'NeedFailed', message: 'm', fingerprint: '0123456789abcdef' });
const PLACE = homeOf(QUEUE);

/** A workflow of steps that need nothing but its start. Each call comes while the queue believes that its next sweep is far away. */
export function openFlows(client: Redis, { clock }: ScriptedQueue) {
  const workflows = createWorkflows(client);
  const later = (): Promise<number> => client.hset(`${KEY}:queue`, 'sweep_at', 1e12);

  async function open(count: number, more: object = {}, extras: object = {}) {
    const id = clock.newTaskId();
    const steps = Array.from({ length: count }, (_, at) => ({
      step: `s${at}`,
      id: clock.newTaskId(),
      type: 'add',
      queue: QUEUE,
      needs: [],
      onNeedFailed: 'fail' as const,
    }));
    const links = steps.map((step) => writeLink({ kind: 'step', queue: QUEUE, id: step.id })).join(' ');
    await later();
    const opened = await workflows.open({ id, home: QUEUE, steps, ...more }, 'd'.repeat(43), links);
    await later();
    await acceptWaiting(
      client,
      QUEUE,
      steps.map((step) => ({
        id: step.id,
        content: CONTENT,
        lane: 'normal',
        extras: {
          follower: writeLink({ kind: 'workflow', queue: QUEUE, id }),
          step: { is_held: true, generation: 1, home: QUEUE, workflow: id, name: step.step },
          confirmWithinMs: 1_000,
          ...extras,
        },
        needs: [{ need: needOf(id, 'start-1'), name: '(start)' }],
        onNeedFailed: 'fail',
      })),
    );
    return { id, ids: steps.map((step) => step.id), word: opened.word };
  }

  async function begin(flow: { readonly id: string; readonly ids: readonly string[] }, generation = 1) {
    await later();
    await workflows.commit(QUEUE, flow.id, generation);
    const need = needOf(flow.id, `start-${generation}`);
    await settleNeeds(
      client,
      PLACE,
      flow.ids.map((id) => ({ id, need, outcome: 'succeeded' })),
    );
  }

  async function end(
    flow: { readonly id: string; readonly ids: readonly string[] },
    state: string,
    generation = 1,
  ): Promise<void> {
    const ends = flow.ids.map((task) => ({ workflow: flow.id, task, generation, state }));
    await workflows.ended(QUEUE, ends);
  }

  return { workflows, later, open, begin, end };
}

/** A schedule that starts a workflow of one step. */
function scheduledFlow(more: object = {}): WorkflowSchedule {
  const steps = [['a', QUEUE, 'normal', '{}']] as const;
  const workflow = { tasks: { a: { type: 'add', input: { one: 1, two: 2 } } } };
  return { everyMs: 60_000, timeZone: 'UTC', misfire: 'skip', paused: false, workflow, steps, ...more };
}

/** Each empties the Redis of its client, a connection of `openStore` with `buildScriptsWithClock`. */
export const WORKFLOW_BRANCHES: Readonly<Record<string, (client: Redis) => Promise<void>>> = {
  'a schedule that starts workflows, whose tick comes again': async (client) => {
    const { clock, plan, plannedAt, tickAll } = await openTicking(client);
    const due = clock.now();
    const links = createLinks(client);
    for (let rounds = 0; rounds < 2; rounds += 1) {
      await plan('flows', scheduledFlow(), due);
      // Nothing of the queue is known to be followed, and no sweep is planned soon.
      await client.hset(`${KEY}:queue`, 'sweep_at', 1e12);
      const { reports } = await tickAll();
      expect(reports).toMatchObject([{ word: 'started' }]);
    }
    const outbox = createOutbox(client);
    const entries = await outbox.take(PLACE, 9);
    expect(entries).toMatchObject([{ state: 'begin', followers: [{ kind: 'begin' }] }]);
    const tellings = entries.flatMap((entry) => ({ entry, link: entry.followers[0] as Link }));
    await links.tell('begin', QUEUE, tellings);
    await outbox.note(PLACE, [{ name: entries[0]?.name ?? '', done: 'all' }]);
    await expectBalanced(client, QUEUE);

    await clock.advance(((await plannedAt('flows')) ?? 0) - clock.now());
    const { reports } = await tickAll();
    const [report] = reports;
    if (report?.word !== 'started') throw new Error('no workflow was started');
    await createWorkflows(client).cancel(QUEUE, report.workflow);
    expect(await readDraft(client, QUEUE, report.workflow)).toBeUndefined();
  },

  'workflows that a webhook follows, one that is taken back, and one whose time is over': async (client) => {
    const { clock, sweepAll } = await openScriptedQueue(client);
    for (const isWithdrawn of [true, false]) {
      const id = clock.newTaskId();
      const link = writeLink({ kind: 'step', queue: QUEUE, id: clock.newTaskId() });
      const plan = JSON.stringify({ id, home: QUEUE, steps: [] });
      await runScript(client, 'workflow-open', PLACE, [id, '', 'd', plan, `${link} hook`, 1, 1, 1_000]);
      if (isWithdrawn) await createWorkflows(client).withdraw(QUEUE, id, 1);
      else await clock.advance(1_000);
      await sweepAll();
      const entries = await createOutbox(client).take(PLACE, 9);
      const told = entries.filter((entry) => entry.id === id).map(({ name, from }) => [name.slice(37), from]);
      expect(new Map(told as [string, number][])).toEqual(
        new Map([
          ['withdraw-1', 0],
          ['ended-1', 1],
        ]),
      );
    }
  },

  'workflows that begin, end, are cancelled, retried, taken back and forgotten': async (client) => {
    const queue = await openScriptedQueue(client, { retentionMs: 5_000, slice: 4 });
    const { clock, take, finish, report, sweepAll } = queue;
    const { workflows, later, open, begin, end } = openFlows(client, queue);
    const operator = createOperator(client);
    const outbox = createOutbox(client);
    const drain = async (): Promise<void> => {
      await clock.advance(1);
      const entries = await outbox.take(PLACE, 100);
      await outbox.note(
        PLACE,
        entries.map(({ name }) => ({ name, done: 'all' })),
      );
    };

    const all = { resultTtlMs: 60_000, terms: 'tag=a' };
    const keyed = await open(3, { key: 'k', cancelSiblings: true }, all);
    expect((await open(1, { key: 'k' })).word).toBe('replayed');
    await begin(keyed);
    await createConsumer(client, PLACE, 'reader', 1_000).readNeeds(keyed.ids[0] ?? '');
    const taken = await take(2);
    await report(taken, { percent: 1, note: 'n' }, ['a line']);
    await finish(taken.slice(0, 1), 'dead', { payload: ERROR, group: GROUP });
    expect(await operator.remove(QUEUE, taken[0]?.id ?? '')).toBe('held');
    expect(await operator.replay(QUEUE, taken[0]?.id ?? '')).toBe('held');
    await end({ ...keyed, ids: [taken[0]?.id ?? ''] }, 'dead');
    // One runs, and one waits to: both are told to stop; a log that the task cannot have.
    await client.hset(`${KEY}:logs`, keyed.ids[2] ?? '', 40);
    await later();
    await actOnSteps(client, PLACE, 'cancel', 1, keyed.ids);
    await finish(taken.slice(1), 'cancelled', { payload: ERROR });
    await end({ ...keyed, ids: keyed.ids.filter((id) => id !== taken[0]?.id) }, 'cancelled');
    await drain();
    await actOnSteps(client, PLACE, 'free', 1, keyed.ids);
    await expectBalanced(client, QUEUE);
    // Again: what it needs is as it was, or another one.
    await later();
    const { generation, again } = await workflows.retry(QUEUE, keyed.id);
    expect([generation, again.length]).toEqual([2, 3]);
    await later();
    const [first = '', ...others] = again;
    const needs = `fail ${needOf(keyed.id, 'start-1')} (start) ${needOf(keyed.id, 'start-2')} (start)`;
    await workflows.waitAgain(QUEUE, 2, [{ id: first, needs }]);
    // The end of one of them is still to be followed.
    await client.hset(`${KEY}:pins`, others[0] ?? '', 1);
    const renewed = `fail ${needOf(keyed.id, 'start-2')} (start)`;
    await workflows.waitAgain(
      QUEUE,
      2,
      others.map((id) => ({ id, needs: renewed })),
    );
    await client.hdel(`${KEY}:pins`, others[0] ?? '');
    // It was taken back, and its steps have not heard of that when it is retried again.
    expect(await workflows.waitAgain(QUEUE, 3, [{ id: first, needs }])).toEqual(['later']);
    await begin(keyed, 2);
    await workflows.cancel(QUEUE, keyed.id);
    await actOnSteps(client, PLACE, 'cancel', 2, keyed.ids);
    await end(keyed, 'cancelled', 2);
    await actOnSteps(client, PLACE, 'free', 2, keyed.ids);
    await expectBalanced(client, QUEUE);

    const plain = await open(5);
    await begin(plain);
    await finish(await take(5));
    await end(plain, 'succeeded');
    await actOnSteps(client, PLACE, 'free', 1, plain.ids);
    expect(await operator.remove(QUEUE, plain.ids[0] ?? '')).toBe('removed');
    await createOperations(client).open(
      clock.newTaskId(),
      { action: 'delete', filter: { queue: QUEUE, ids: [plain.ids[1] ?? ''] } },
      undefined,
    );
    await operate(client, PLACE, 'me', 9);

    // Those that were never committed: told so, and left alone.
    const withdrawn = await open(1, { key: 'withdrawn' });
    await workflows.withdraw(QUEUE, withdrawn.id, 1);
    await actOnSteps(client, PLACE, 'withdraw', 1, withdrawn.ids);
    const late = await open(1, { key: 'late' });
    await operator.cancel(QUEUE, late.ids[0] ?? '');
    // What another program has put there.
    await client.zadd(`${KEY}:unconfirmed`, 1, 'none');
    await clock.advance(61_000);
    await client.hset(`${KEY}:queue`, 'sweep_at', 0);
    const unconfirmed = (await sweepAll()).flatMap((swept) => swept.unconfirmed);
    expect(unconfirmed.map(({ id }) => id)).toContain(late.ids[0]);
    await confirmSteps(client, PLACE, unconfirmed);
    await expectBalanced(client, QUEUE);
    for (let rounds = 0; rounds < 4; rounds += 1) {
      await clock.advance(30_000);
      await sweepAll();
      if (rounds > 0) await drain();
      await client.del(`${KEY}:marks`);
    }
    const left = await client.keys(`${KEY}:*`);
    expect(left.filter((key) => /workflow|freed|unconfirmed|contents|need|steps/.test(key))).toEqual([]);
  },

  'each script of workflows, when the clock was set back': async (client) => {
    const { clock, enqueue } = await openScriptedQueue(client);
    await enqueue(1);
    const calls = [
      ['step', ['free', 1]],
      ['rewait', [1, 1]],
      ['workflow-open', ['w', '', '', '{}', 'f', 1, 0, 1]],
      ['workflow', ['cancel', 'none']],
    ] as const;
    for (const [name, args] of calls) {
      await clock.advance(-2_000);
      await runScript(client, name, PLACE, args);
    }
  },
};
