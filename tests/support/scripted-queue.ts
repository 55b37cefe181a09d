// A queue over the real scripts with a clock that the test moves, and one worker that a test leads by hand.

import { homeOf } from '../../src/store/keys.ts';
import type { Redis } from 'ioredis';
import { encodeCbor } from '../../src/protocol/cbor.ts';
import type { Lane } from '../../src/protocol/lane.ts';
import { encodeContent } from '../../src/protocol/message.ts';
import { type Consumer, createConsumer, type OutcomeWord } from '../../src/store/consumer.ts';
import { queueKey } from './queue-key.ts';
import type { TaskExtras } from '../../src/store/new-task.ts';
import { createProducer, type Producer } from '../../src/store/producer.ts';
import type { TaskRecord } from '../../src/store/record.ts';
import { createSweeper, type Swept, type SweepSettings } from '../../src/store/sweeper.ts';
import type { SourceAnswer } from '../../src/store/waits.ts';
import { createModelClock, type ModelClock } from './model-clock.ts';
import { recordOf } from './records.ts';

export const QUEUE = 'scripted';
export const KEY = queueKey(QUEUE);
export const LEASE_MS = 1_000_000;
const TASKS_A_CALL = 1_000;
const RESULT = encodeCbor('done');
const CONTENT = encodeContent('add', { one: 1, two: 2 });

export interface ScriptedQueue {
  readonly clock: ModelClock;
  readonly producer: Producer;
  readonly worker: Consumer;
  /** Accepts tasks, a thousand in one call; answers their ids. */
  enqueue(count: number, extras?: TaskExtras, lane?: Lane): Promise<string[]>;
  /** Claims what is there, in the worker's order. */
  take(want: number, first?: Lane): Promise<{ id: string; claim: number }[]>;
  finish(
    tasks: readonly { id: string; claim: number }[],
    word?: OutcomeWord,
    more?: {
      payload?: Buffer;
      resultTtlMs?: number;
      delayMs?: number;
      hasHistory?: boolean;
      group?: string;
    },
  ): Promise<void>;
  /** Writes progress and log lines of each. */
  report(
    tasks: readonly { id: string; claim: number }[],
    progress: { percent: number; note: string },
    lines: readonly string[],
  ): Promise<void>;
  /** Keeps a checkpoint of each; empty bytes = forgets it. */
  checkpoint(tasks: readonly { id: string; claim: number }[], value: Buffer): Promise<void>;
  /** A task asks for something that it may wait for. */
  source(
    task: { id: string; claim: number },
    source: string,
    digest?: string,
    follower?: string,
  ): Promise<SourceAnswer>;
  /** Sweeps once, as soon as it is its turn. */
  sweep(): Promise<Swept>;
  /** Sweeps until nothing is left to do at this moment; answers each sweep. */
  sweepAll(): Promise<Swept[]>;
  task(id: string): Promise<TaskRecord | undefined>;
}

/** @param client of `openStore` with `buildScriptsWithClock`; everything in its Redis is deleted */
export async function openScriptedQueue(
  client: Redis,
  settings: Partial<SweepSettings> = {},
): Promise<ScriptedQueue> {
  await client.flushall();
  const clock = await createModelClock(client);
  const producer = createProducer(client);
  /** Of what was taken, by id and claim number. */
  const tokens = new Map<string, string>();
  const tokenOf = ({ id, claim }: { id: string; claim: number }): string =>
    tokens.get(`${id} ${claim}`) ?? 'none';
  const worker = createConsumer(client, homeOf(QUEUE), 'by-hand', LEASE_MS);
  const sweepQueue = createSweeper(client, {
    leaseMs: LEASE_MS,
    slice: 10,
    popGraceMs: 2_000,
    retentionMs: 1e12,
    retentionBytes: 0,
    periodMs: 1_000,
    ...settings,
  });

  async function sweep(): Promise<Swept> {
    // A sweep is gated by the time that the one before has planned.
    await client.hdel(`${KEY}:queue`, 'sweep_at');
    return sweepQueue(homeOf(QUEUE));
  }

  return {
    clock,
    producer,
    worker,
    async enqueue(count, extras, lane = 'normal') {
      const ids = Array.from({ length: count }, () => clock.newTaskId());
      const tasks = ids.map((id) => ({
        id,
        content: CONTENT,
        lane,
        extras,
      }));
      for (let at = 0; at < count; at += TASKS_A_CALL) {
        await producer.enqueue(QUEUE, tasks.slice(at, at + TASKS_A_CALL));
      }
      return ids;
    },
    async take(want, first) {
      const lower = first === undefined || first === 'high' ? {} : { [first]: want };
      const { tasks } = await worker.claim([], want, lower);
      for (const { id, claim, token } of tasks) tokens.set(`${id} ${claim}`, token);
      return tasks.map(({ id, claim }) => ({ id, claim }));
    },
    async checkpoint(tasks, value) {
      for (const task of tasks) await worker.checkpoint({ id: task.id, token: tokenOf(task) }, value);
    },
    source: (task, source, digest = '-', follower = '') =>
      worker.source({ id: task.id, token: tokenOf(task) }, source, digest, follower),
    async report(tasks, progress, lines) {
      await worker.report(tasks.map((task) => ({ id: task.id, token: tokenOf(task), progress, lines })));
    },
    async finish(tasks, word = 'succeeded', more = {}) {
      const { payload = RESULT, delayMs = 0, resultTtlMs, hasHistory, group } = more;
      await worker.finish(
        tasks.map(({ id, claim }) => ({
          id,
          token: tokenOf({ id, claim }),
          contentBytes: CONTENT.length,
          word,
          payload,
          delayMs,
          resultTtlMs,
          hasHistory,
          group,
        })),
        0,
      );
    },
    sweep,
    async sweepAll() {
      const all: Swept[] = [];
      for (;;) {
        const swept = await sweep();
        all.push(swept);
        if (swept.nextMs > 0) return all;
      }
    },
    task: (id) => recordOf(client, QUEUE, id),
  };
}
