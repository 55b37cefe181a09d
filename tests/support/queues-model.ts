// Queues of which each has all workers of a hostile world: what happens in one of them is a step of that one alone, unless it happens to a
// worker.

import { expect } from 'vitest';
import { watchScriptsClock } from './model-clock.ts';
import { ModelPlaces, PLACES } from './model-places.ts';
import type { Step } from './model-steps.ts';
import { queueKey } from './queue-key.ts';
import { type ModelWorld, QueueModel, ROUND_MS } from './queue-model.ts';

export class QueuesModel {
  readonly queues: readonly QueueModel[];
  private readonly names: readonly string[];
  private readonly world: Omit<ModelWorld, 'placesOf'>;
  private readonly clockChecks: readonly (() => Promise<void>)[];

  constructor(names: readonly string[], world: Omit<ModelWorld, 'placesOf'>) {
    // With several queues nothing is taken ahead.
    const limit = names.length > 1 ? PLACES : undefined;
    const places = new Map<string, ModelPlaces>();
    const placesOf = (worker: string): ModelPlaces => {
      const own = places.get(worker) ?? new ModelPlaces(limit, world.flaws);
      places.set(worker, own);
      return own;
    };
    this.names = names;
    this.world = world;
    this.queues = names.map((name) => new QueueModel(name, { ...world, placesOf }));
    this.clockChecks = names.map((name) => watchScriptsClock(world.client, queueKey(name)));
  }

  /** Connects the workers. */
  async open(): Promise<void> {
    for (const queue of this.queues) await queue.open();
  }

  /** Runs a step, and checks what must hold at every moment. */
  async run(step: Step): Promise<void> {
    const isOfWorker = step.do === 'crash' || step.do === 'leave';
    for (const [at, queue] of this.queues.entries()) {
      if (isOfWorker || at === (step.queue ?? 0)) await queue.run(step);
    }
    for (const queue of this.queues) {
      await queue.watch();
      await queue.checkConservation();
    }
    for (const check of this.clockChecks) await check();
    await this.checkPromises();
  }

  /** Each place is promised once: what Redis may hand to a worker, and what it has handed without hearing so, over all of its queues. */
  private async checkPromises(): Promise<void> {
    const promised = new Map<string, number>();
    for (const name of this.names) {
      const all = await this.world.client.hgetall(`${queueKey(name)}:hands`);
      for (const [worker, hands] of Object.entries(all)) {
        const [last = 0, heard = 0, free = 0] = hands.split(' ').map(Number);
        promised.set(worker, (promised.get(worker) ?? 0) + free + last - heard);
      }
    }
    const most = Math.max(0, ...promised.values());
    expect(most, 'places that are promised').toBeLessThanOrEqual(PLACES);
  }

  /** The world calms down, until nothing is left to do. */
  async settle(): Promise<void> {
    for (const queue of this.queues) await queue.calm();
    for (let round = 1; round <= 400; round += 1) {
      await this.world.clock.pass(ROUND_MS);
      let left = 0;
      for (const queue of this.queues) if (!(await queue.calmRound(round))) left += 1;
      if (left === 0) return;
    }
    throw new Error('the queues do not empty');
  }

  async checkEnd(): Promise<void> {
    for (const queue of this.queues) await queue.checkEnd();
  }

  /** Of all queues. */
  sum(count: (queue: QueueModel) => number): number {
    return this.queues.reduce((sum, queue) => sum + count(queue), 0);
  }
}
