// `openTestFleet` of popfleet/testing: what a program sends, and what comes of it.

import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { defineTask, openPopfleet, v } from '../../src/index.ts';
import { openTestFleet, type TestFleet } from '../../src/testing/testing.ts';

const mails: string[] = [];
const mail = defineTask({
  type: 'mail',
  input: v.object({ to: v.string(), fails: v.optional(v.number(), 0) }),
  defaults: { queue: 'mails', maxAttempts: 2, backoff: { baseMs: 60_000 } },
  run({ to, fails }, { attempt }) {
    if (attempt <= fails) throw new Error('no connection');
    mails.push(to);
    return { to, attempt };
  },
});
const after = defineTask({ type: 'after', input: v.unknown(), run: (_, { cause }) => cause?.state });

let fleet: TestFleet;
beforeAll(async () => {
  fleet = await openTestFleet({ tasks: [mail, after] });
});
afterAll(() => fleet?.close());
beforeEach(async () => {
  mails.length = 0;
  await fleet.clear();
});

test('what was sent stands there until it is drained', async () => {
  // As the program that is tested does it.
  const program = await openPopfleet({ redisUrl: fleet.redisUrl, tasks: [mail, after] });
  await program.enqueue(mail, { to: 'one@example.com' });
  await program.enqueue('after', null, { priority: 'low' });
  program.close();
  const sent = await fleet.sent();
  expect(sent.map(({ type, state, queue }) => [type, state, queue])).toEqual([
    ['mail', 'ready', 'mails'],
    ['after', 'ready', 'default'],
  ]);
  expect((await fleet.sent(mail))[0]).toMatchObject({ input: { to: 'one@example.com' } });
  expect(mails).toEqual([]);
  const ended = await fleet.drain();
  expect(ended.map(({ type, state }) => [type, state])).toEqual([
    ['mail', 'succeeded'],
    ['after', 'succeeded'],
  ]);
  expect(mails).toEqual(['one@example.com']);
  expect(await fleet.drain()).toEqual([]);
});

test('a webhook stands there as a delivery, which only servers send', async () => {
  const webhook = { url: 'https://example.com/hook' };
  await fleet.enqueue(mail, { to: 'hooked@example.com' }, { webhook });
  expect((await fleet.drain({ later: true })).map(({ type }) => type)).toEqual(['mail']);
  const deliveries = await fleet.sent('popfleet.webhook');
  expect(deliveries.map(({ queue, state }) => [queue, state])).toEqual([['webhooks', 'ready']]);
});

test('what follows is drained too; what is scheduled only when asked for', async () => {
  await fleet.enqueue(mail, { to: 'two@example.com' }, { onEnd: { type: 'after' } });
  await fleet.enqueue(mail, { to: 'late@example.com' }, { delayMs: 3_600_000 });
  await fleet.enqueue(mail, { to: 'hard@example.com', fails: 1 });
  const first = await fleet.drain();
  expect(first.map(({ type }) => type).sort()).toEqual(['after', 'mail']);
  expect((await fleet.sent('after'))[0]).toMatchObject({ state: 'succeeded', result: 'succeeded' });
  const rest = await fleet.drain({ later: true });
  expect(rest.map(({ state, result }) => [state, result])).toEqual([
    ['succeeded', { to: 'late@example.com', attempt: 1 }],
    ['succeeded', { to: 'hard@example.com', attempt: 2 }],
  ]);
});

test('one that fails for good is dead, and can be run again', async () => {
  const { id } = await fleet.enqueue(mail, { to: 'three@example.com', fails: 2 });
  await fleet.drain({ later: true });
  expect(await fleet.get(id)).toMatchObject({ state: 'dead', error: { message: 'no connection' } });
  await fleet.retry(id);
  await fleet.drain({ later: true });
  expect(await fleet.get(id)).toMatchObject({ state: 'dead' });
});

test('a type without a definition fails the drain, which names it', async () => {
  const stray = defineTask({ type: 'stray', input: v.unknown(), run: () => null });
  const program = await openPopfleet({ redisUrl: fleet.redisUrl, tasks: [stray] });
  await program.enqueue(stray, null);
  program.close();
  const wanted = { code: 'unknown-type', message: expect.stringMatching(/"stray".*add it to `tasks`/) };
  await expect(fleet.drain()).rejects.toMatchObject(wanted);
  await expect(fleet.drain({ later: true })).rejects.toMatchObject(wanted);
});
