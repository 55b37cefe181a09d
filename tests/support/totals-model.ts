// What a queue says has happened in all, against what a model has seen of it.

import type { Redis } from 'ioredis';
import { expect } from 'vitest';
import { isTerminal, type TaskState } from '../../src/protocol/task-state.ts';
import { sendAll } from '../../src/store/pipeline.ts';
import { type QueueTotals, totalsOf } from '../../src/store/totals.ts';
import { movesOf } from './moves.ts';
import { queueKey } from './queue-key.ts';

export class TotalsModel {
  private readonly client: Redis;
  private readonly queue: string;
  private last: { readonly now: number; readonly ready: number; readonly running: number } | undefined;
  private readyMs = 0;
  private runningMs = 0;
  private before: QueueTotals | undefined;

  constructor(client: Redis, queue: string) {
    this.client = client;
    this.queue = queue;
  }

  /** To be called after each step: tasks move at its time, so since the step before each state had as many as then. */
  async watch(): Promise<void> {
    const { counts, now } = await this.read();
    if (now === undefined) return;
    const { last } = this;
    if (last) {
      this.readyMs += last.ready * (now - last.now);
      this.runningMs += last.running * (now - last.now);
    }
    this.last = { now, ready: Number(counts['ready'] ?? 0), running: Number(counts['running'] ?? 0) };
    const totals = totalsOf(counts, now);
    expect(totals).toMatchObject({ imbalance: 0, readyMs: this.readyMs, runningMs: this.runningMs });
    // One `expect` for all: each costs more than what it compares here, at every step of every world.
    const fallen = Object.entries(this.before ?? {}).flatMap(([name, before]) => {
      const after = totals[name as keyof QueueTotals];
      return after >= before ? [] : [`${name} was ${before}, and is ${after}`];
    });
    expect(fallen).toEqual([]);
    this.before = totals;
  }

  /** Compares with each move that the event stream tells of. @param replayed how often a task was */
  async checkEnd(replayed: number): Promise<void> {
    const seen = new Map<string, number>();
    const states = new Map<string, string>();
    for (const { id, state } of await movesOf(this.client, this.queue)) {
      const from = states.get(id) ?? 'new';
      states.set(id, state);
      const names = [`to ${state}`, `${from} to ${state}`];
      if (isTerminal(state as TaskState) && from !== 'running') names.push('unstarted');
      for (const name of names) seen.set(name, (seen.get(name) ?? 0) + 1);
    }
    const count = (name: string): number => seen.get(name) ?? 0;
    const { counts, now = 0 } = await this.read();
    const totals = totalsOf(counts, now);
    expect(totals).toMatchObject({
      started: count('to running'),
      endedSucceeded: count('to succeeded'),
      endedDead: count('to dead'),
      endedCancelled: count('to cancelled'),
      endedUnstarted: count('unstarted'),
      replayed,
      removed: count('to removed'),
    });
    expect(totals.failed + totals.snoozed).toBe(count('running to scheduled'));
    expect(totals.released + totals.returned).toBe(count('running to ready'));
    expect(count('dead to ready')).toBe(replayed);
  }

  private async read(): Promise<{
    readonly counts: Record<string, string>;
    readonly now: number | undefined;
  }> {
    const [counts, [wall, skew]] = (await sendAll(this.client, [
      ['hgetall', `${queueKey(this.queue)}:count`],
      ['hmget', `${queueKey(this.queue)}:queue`, 'wall', 'skew'],
    ])) as [Record<string, string>, (string | null)[]];
    return { counts, now: wall ? Number(wall) + Number(skew) : undefined };
  }
}
