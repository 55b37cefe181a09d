// Tasks that wait without a slot, in random worlds: whatever comes first decides how a wait ends, each wait ends once, and none is lost.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeCbor } from '../../src/protocol/cbor.ts';
import { homeOf } from '../../src/store/keys.ts';
import { createOperator } from '../../src/store/operator.ts';
import { defineScripts, type ScriptName } from '../../src/store/scripts.ts';
import { completeSources, readWait } from '../../src/store/waits.ts';
import { buildScriptsWithClock } from '../support/model-clock.ts';
import { expectBalanced } from '../support/moves.ts';
import { openScriptedQueue, QUEUE, type ScriptedQueue } from '../support/scripted-queue.ts';
import { startStore } from '../support/store.ts';

const RUNS = Number(process.env['POPFLEET_MODEL_RUNS'] ?? 40);
const { client } = await startStore(buildScriptsWithClock);
const place = homeOf(QUEUE);
const TOKENS = ['.a', '.b', '.c'] as const;
const LIMIT_MS = 100;

type Token = (typeof TOKENS)[number];
type Step =
  | { readonly do: 'claim' | 'sweep' | 'lose' | 'end' | 'cancel' }
  | { readonly do: 'ask'; readonly token: Token }
  | { readonly do: 'wait'; readonly token: Token; readonly limited: boolean; readonly twice: boolean }
  | { readonly do: 'complete'; readonly token: Token; readonly payload: number };

const token = fc.constantFrom(...TOKENS);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('claim' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('sweep' as const, 'lose' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('end' as const, 'cancel' as const) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('ask' as const), token }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      token,
      limited: fc.boolean(),
      twice: fc.boolean(),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('complete' as const), token, payload: fc.constantFrom(1, 2) }),
  },
);

/** One task, and what should be true of it. */
class World {
  /** What has come for each token that was asked for: `undefined` nothing yet, `late`, or the payload. */
  readonly tokens = new Map<Token, number | 'late' | undefined>();
  state: 'ready' | 'running' | 'waiting' | 'ended' = 'ready';
  claim = 0;
  waitsFor: { readonly token: Token; readonly limited: boolean } | undefined;
  readonly queue: ScriptedQueue;
  readonly id: string;

  constructor(queue: ScriptedQueue, id: string) {
    this.queue = queue;
    this.id = id;
  }

  async run(one: Step): Promise<void> {
    switch (one.do) {
      case 'claim':
        return this.take();
      case 'ask':
        return this.ask(one.token);
      case 'wait':
        return this.wait(one);
      case 'complete':
        return this.complete(one.token, one.payload);
      case 'sweep':
        await this.queue.clock.advance(LIMIT_MS);
        await this.queue.sweepAll();
        if (this.state === 'waiting' && this.waitsFor?.limited) this.goOn('late');
        return undefined;
      case 'lose': {
        // Its worker gives it back, as one that stops does; what it has asked for stays.
        if (this.state !== 'running') return undefined;
        await this.queue.finish([this.self()], 'released');
        this.state = 'ready';
        return undefined;
      }
      case 'end':
        if (this.state !== 'running') return undefined;
        await this.queue.finish([this.self()], 'succeeded', { hasHistory: true });
        this.state = 'ended';
        return undefined;
      case 'cancel':
        if (this.state === 'running' || this.state === 'ended') return undefined;
        expect(await createOperator(client).cancel(QUEUE, this.id)).toBe('cancelled');
        this.state = 'ended';
        return undefined;
    }
  }

  self(): { id: string; claim: number } {
    return { id: this.id, claim: this.claim };
  }

  async take(): Promise<void> {
    const taken = await this.queue.take(1);
    expect(taken.length).toBe(this.state === 'ready' ? 1 : 0);
    const [task] = taken;
    if (!task) return;
    this.claim = task.claim;
    this.state = 'running';
    await this.expectWaited();
  }

  /** What a handler would find. */
  async expectWaited(): Promise<void> {
    if (!this.waitsFor) return;
    const wait = await readWait(client, place, this.id);
    const came = this.tokens.get(this.waitsFor.token);
    const value = typeof came === 'number' ? encodeCbor(came) : undefined;
    expect(wait?.word).toBe(came === 'late' ? 'late' : 'met');
    expect(wait?.ends).toMatchObject([{ source: this.waitsFor.token, value }]);
  }

  async ask(name: Token): Promise<void> {
    const answer = await this.queue.source(this.self(), name);
    if (this.state !== 'running') return expect(answer).toBe('stale');
    expect(answer).toBe(this.tokens.get(name) === undefined ? 'open' : 'ended');
    if (!this.tokens.has(name)) this.tokens.set(name, undefined);
    return undefined;
  }

  async wait({ token: name, limited, twice }: Extract<Step, { do: 'wait' }>): Promise<void> {
    if (this.state !== 'running' || !this.tokens.has(name)) return;
    const asked = { sources: [name], ...(limited && { timeoutMs: LIMIT_MS }) };
    const payload = Buffer.from(JSON.stringify(asked));
    await this.queue.finish([this.self()], 'suspended', { payload });
    this.waitsFor = { token: name, limited };
    const came = this.tokens.get(name);
    this.state = came === undefined ? 'waiting' : 'ready';
    // Its reply was lost, and it is sent again.
    if (twice) await this.queue.finish([this.self()], 'suspended', { payload });
  }

  async complete(name: Token, payload: number): Promise<void> {
    const completion = {
      id: this.id,
      source: name,
      word: 'succeeded',
      digest: String(payload),
      value: encodeCbor(payload),
    } as const;
    const [answer] = await completeSources(client, place, [completion]);
    const came = this.tokens.get(name);
    if (!this.tokens.has(name)) return expect(answer).toBe('unknown');
    if (came === 'late') return expect(answer).toBe('late');
    if (came !== undefined) return expect(answer).toBe(came === payload ? 'known' : 'conflict');
    if (this.state === 'ended') return expect(answer).toBe('ended');
    this.tokens.set(name, payload);
    if (this.state !== 'waiting' || this.waitsFor?.token !== name) return expect(answer).toBe('noted');
    expect(answer).toBe('ready');
    return this.goOn(payload);
  }

  goOn(came: number | 'late'): void {
    if (this.waitsFor) this.tokens.set(this.waitsFor.token, came);
    this.state = 'ready';
  }
}

async function play(steps: readonly Step[]): Promise<void> {
  const queue = await openScriptedQueue(client);
  const [id = ''] = await queue.enqueue(1);
  const world = new World(queue, id);
  for (const one of steps) await world.run(one);
  // What came too late stays so.
  for (const [name, came] of world.tokens) {
    if (came === 'late' && world.state !== 'ended') await world.complete(name, 1);
  }
  // Whatever waits can still be told, and then runs.
  if (world.state === 'waiting' && world.waitsFor) await world.complete(world.waitsFor.token, 1);
  const states = { ready: 'ready', running: 'running', waiting: 'waiting' } as const;
  const { state } = (await queue.task(id)) ?? {};
  if (world.state === 'ended') expect(['succeeded', 'cancelled']).toContain(state);
  else expect(state).toBe(states[world.state]);
  await expectBalanced(client, QUEUE);
}

test('completions, time limits, lost replies, runs that are given back, and cancels', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), (steps) => play(steps)),
    { numRuns: RUNS },
  );
});

test.each<[string, ScriptName, string, string]>([
  ['a time limit leaves the token open', 'sweep', "'late - '", "''"],
  ['what comes again counts again', 'complete', "if value ~= '' then", 'if false then'],
  ['a wait that has ended is waited for', 'sweep', "wait.word ~= 'open'", "wait.word == 'open'"],
  [
    'what came before the wait is forgotten',
    'finish-any',
    "if value == '' then wait.unmet",
    'if true then wait.unmet',
  ],
  ['an old run may ask', 'source', "if Q.headers[id] ~= token then return 'stale' end", ''],
])('the worlds find out when %s', async (_, script, before, after) => {
  const scripts = buildScriptsWithClock();
  const { lua, keys } = scripts[script];
  expect(lua).toContain(before);
  defineScripts(client, { ...scripts, [script]: { lua: lua.replaceAll(before, after), keys } });
  const found = await fc.check(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), (steps) => play(steps)),
    // The same worlds each time, so that a control that dies once always does.
    { numRuns: 300, seed: 1, endOnFailure: true },
  );
  defineScripts(client, scripts);
  expect(found.failed).toBe(true);
});

test('a task has so many sources at most', async () => {
  const queue = await openScriptedQueue(client);
  await queue.enqueue(1);
  const [task] = await queue.take(1);
  if (!task) throw new Error('there is nothing to take');
  for (let at = 0; at < 1_000; at += 1) expect(await queue.source(task, `.n${at}`)).toBe('open');
  expect(await queue.source(task, '.more')).toBe('many');
  expect(await queue.source(task, '.n0')).toBe('open');
});
