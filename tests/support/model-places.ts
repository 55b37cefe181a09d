// What a worker of the model has once for all of its queues: its places, and the queue in which it offers them.

import { expect } from 'vitest';
import type { ModelFlaws } from './relay-model.ts';

/** Tasks that it runs at the same time, whatever their queues. */
export const PLACES = 3;

/** What it holds of a queue; of that, what runs, and what came by a hand. */
interface Runs {
  readonly held: { readonly size: number };
  readonly running: number;
  readonly handed: number;
}

/** The worker as one of its queues knows it. */
interface Part {
  readonly runs: Runs;
  hear(): Promise<void>;
}

export class ModelPlaces {
  readonly parts: Part[] = [];
  /** Where it offers places, and where it wants to. */
  private current: Part | undefined;
  private wanted: Part | undefined;
  private readonly limit: number;
  private readonly flaws: ModelFlaws;

  /** @param limit tasks that it may hold: places, and what is taken ahead */
  constructor(limit = Number.POSITIVE_INFINITY, flaws: ModelFlaws = {}) {
    this.limit = limit;
    this.flaws = flaws;
  }

  join(part: Part): void {
    this.parts.push(part);
    this.current ??= part;
    this.wanted ??= part;
  }

  /** Tasks that it may hold beside those that it holds; below 0 when hands have taken the places of what was popped. */
  get room(): number {
    return this.limit - this.size;
  }

  /** Whether what it is given now has to wait. */
  get isFull(): boolean {
    return this.sum(({ running }) => running) >= this.limit;
  }

  /** What a call of one queue says of places that are free. @param more places that it frees */
  free(part: Part, more: number, mayClaim: boolean): number {
    const size = this.size - more;
    const room = Math.min(0, this.limit - size);
    return mayClaim && room === 0 && this.mayOffer(part, size) ? Math.max(0, PLACES - size) : room;
  }

  /** It had better offer its places where it has popped something. */
  popped(part: Part): void {
    this.wanted = part;
    if (this.flaws.changesAtOnce) this.current = part;
  }

  /** Redis has heard that nothing is offered in this queue any more, and it has all that it was handed there. */
  withdrawn(part: Part): void {
    if (part === this.current) this.current = this.wanted;
  }

  /** What it has just been handed by a queue finds its places, but for those that what was popped from other queues has taken. */
  checkHanded({ runs }: Part): void {
    expect(
      this.sum(({ handed }) => handed),
      'tasks that it was handed and has',
    ).toBeLessThanOrEqual(PLACES);
    expect(runs.held.size, 'tasks of this queue').toBeLessThanOrEqual(this.limit);
  }

  private get size(): number {
    return this.sum(({ held }) => held.size);
  }

  private sum(count: (runs: Runs) => number): number {
    return this.parts.reduce((sum, { runs }) => sum + count(runs), 0);
  }

  private mayOffer(part: Part, size: number): boolean {
    if (this.parts.length === 1) return true;
    const isItsTurn = part === this.current && part === this.wanted;
    return size === 0 && (isItsTurn || this.flaws.offersEverywhere === true);
  }
}
