// `runTask` of popfleet/testing: one task in the process of a test.

import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { defineTask, PermanentError, RetryLater, v } from '../../src/index.ts';
import { runTask } from '../../src/testing/testing.ts';

const report = defineTask({
  type: 'report',
  input: v.strictObject({ customer: v.string(), pages: v.optional(v.pipe(v.number(), v.integer()), 1) }),
  defaults: { maxAttempts: 2, backoff: { baseMs: 500, jitter: 'none' } },
  run({ customer, pages }, { attempt, progress, log, deadline }) {
    if (customer === 'nobody') throw new PermanentError('there is no such customer');
    if (customer === 'busy') throw new RetryLater(4_000);
    if (customer === 'broken') throw new TypeError('it is broken');
    log(`for ${customer}`);
    for (let page = 1; page <= pages; page += 1) progress((page / pages) * 100, `page ${page}`);
    return { pages, attempt, at: new Date(0), hasDeadline: deadline !== undefined };
  },
});

test('a run has the result as it is kept, what was reported, and the context that the test gives', async () => {
  const run = await runTask(report, { customer: 'acme', pages: 2 }, { attempt: 2, timeoutMs: 60_000 });
  expect(run).toEqual({
    outcome: 'succeeded',
    result: { pages: 2, attempt: 2, at: '1970-01-01T00:00:00.000Z', hasDeadline: true },
    error: undefined,
    retryInMs: undefined,
    progress: [
      { percent: 50, note: 'page 1' },
      { percent: 100, note: 'page 2' },
    ],
    log: ['for acme'],
    checkpoints: [],
    spawned: [],
  });
  // The schema gives the handler what the input leaves open, and the types know the result.
  const at: string | undefined = (await runTask(report, { customer: 'acme' })).result?.at;
  expect(at).toBe('1970-01-01T00:00:00.000Z');
});

test('a run finds the checkpoint that the test gives, and shows those that it keeps', async () => {
  const counting = defineTask({
    type: 'counting',
    input: v.object({}),
    async run(_, context) {
      const { done } = (context.lastCheckpoint ?? { done: 0 }) as { done: number };
      await context.checkpoint({ done: done + 1 });
      await context.checkpoint(undefined);
      return done;
    },
  });
  const run = await runTask(counting, {}, { lastCheckpoint: { done: 4 } });
  expect(run).toMatchObject({ result: 4, checkpoints: [{ done: 5 }, undefined] });
  expect((await runTask(counting, {})).result).toBe(0);
});

describe('what does not succeed', () => {
  test.each([
    ['broken', 1, 'failed', 500, 'TypeError'],
    ['broken', 2, 'dead', undefined, 'TypeError'],
    ['nobody', 1, 'dead', undefined, 'PermanentError'],
    ['busy', 1, 'snoozed', 4_000, 'RetryLater'],
  ] as const)('%s at attempt %i: %s', async (customer, attempt, outcome, retryInMs, name) => {
    const run = await runTask(report, { customer }, { attempt });
    expect(run).toMatchObject({ outcome, retryInMs, error: { name }, result: undefined });
  });

  test('an input that does not fit is refused as sending it would be', async () => {
    const wrong = { customer: 5 } as unknown as { customer: string };
    await expect(runTask(report, wrong)).rejects.toMatchObject({
      code: 'invalid-input',
      faults: [{ pointer: '#/input/customer' }],
    });
    const lost = { customer: new Map() } as unknown as { customer: string };
    await expect(runTask(report, lost)).rejects.toMatchObject({ code: 'invalid-input' });
  });

  test('a result that cannot be kept fails the task for good', async () => {
    const odd = defineTask({ type: 'odd', input: v.unknown(), run: () => new Map([[1, 2]]) });
    expect(await runTask(odd, null)).toMatchObject({ outcome: 'dead', error: { name: 'PermanentError' } });
  });
});

const waits = defineTask({
  type: 'waits',
  input: v.object({ listens: v.boolean() }),
  run: async ({ listens }, { signal }) => {
    await sleep(60_000, undefined, listens ? { signal } : { ref: false });
  },
});

test('at its deadline the signal fires; a handler that does not listen is given up', async () => {
  for (const listens of [true, false]) {
    const run = await runTask(waits, { listens }, { timeoutMs: 20, attempt: 3 });
    expect(run).toMatchObject({ outcome: 'dead', error: { name: 'TimeoutError', killCause: 'timeout' } });
  }
});

test('it can be cancelled before it begins and while it runs', async () => {
  const controller = new AbortController();
  const running = runTask(waits, { listens: true }, { cancel: controller.signal });
  controller.abort();
  expect(await running).toMatchObject({ outcome: 'cancelled' });
  expect(await runTask(waits, { listens: true }, { cancel: controller.signal })).toMatchObject({
    outcome: 'cancelled',
  });
});

test('a handler that waits says for what, and goes on with what has come', async () => {
  const asks = defineTask({
    type: 'asks',
    input: v.object({ untilMs: v.optional(v.number()) }),
    run: async ({ untilMs }, context): Promise<unknown> => {
      if (context.waited) return context.waited.timedOut ? 'too late' : context.waited.payload;
      if (untilMs !== undefined) return context.waitFor({ untilMs });
      return context.waitFor({ token: await context.token('approval'), timeoutMs: 1_000 });
    },
  });
  const id = '01890000-0000-7000-8000-000000000001';
  expect(await runTask(asks, {}, { id })).toMatchObject({
    outcome: 'suspended',
    waitsFor: { token: `${id}.approval`, timeoutMs: 1_000 },
  });
  expect(await runTask(asks, { untilMs: 5 })).toMatchObject({
    outcome: 'suspended',
    waitsFor: { untilMs: 5 },
  });
  const waited = { timedOut: false, payload: { by: 'ann' } };
  expect(await runTask(asks, {}, { waited })).toMatchObject({ outcome: 'succeeded', result: { by: 'ann' } });
  expect(await runTask(asks, {}, { waited: { timedOut: true, payload: undefined } })).toMatchObject({
    result: 'too late',
  });
});

test('a handler that makes children says which, waits for them, and goes on with what they have brought', async () => {
  const page = defineTask({
    type: 'page',
    input: v.object({ number: v.number() }),
    run: ({ number }) => number,
  });
  const book = defineTask({
    type: 'book',
    input: v.object({}),
    async run(_, context) {
      if (context.waited)
        return context.waited.children.map(({ state, result, error }) => result ?? error ?? state);
      const first = await context.spawn(page, { number: 1 }, { tags: ['a'] });
      // @ts-expect-error the definition knows its input
      await context.spawn(page, { number: 'two' }, { key: 'two' });
      await context.checkpoint('kept');
      return context.waitFor({ children: [first, await context.spawn('page', { number: 3 })] });
    },
  });
  const run = await runTask(book, {});
  const [first, two, third] = run.spawned;
  expect(run).toMatchObject({
    outcome: 'suspended',
    checkpoints: ['kept'],
    spawned: [
      { type: 'page', input: { number: 1 }, tags: ['a'] },
      { input: { number: 'two' }, key: 'two' },
      { type: 'page', input: { number: 3 } },
    ],
    waitsFor: { children: [first?.id, third?.id] },
  });
  expect((await runTask(book, {})).spawned.map(({ id }) => id)).not.toContain(two?.id);
  const error = { name: 'Error', message: 'torn' };
  const children = [
    { id: first?.id ?? '', state: 'succeeded', result: 7 },
    { id: two?.id ?? '', state: 'dead', error },
    { id: third?.id ?? '', state: 'unfinished' },
  ] as const;
  expect((await runTask(book, {}, { waited: { children } })).result).toEqual([7, error, 'unfinished']);
});
