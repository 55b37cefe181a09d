// What a worker of the model holds of a queue, and what of that runs.

import { expect } from 'vitest';
import type { ClaimedTask } from '../../src/store/consumer.ts';
import type { ModelPlaces } from './model-places.ts';

/** A run, by its id and token. */
export function runOf({ id, token }: Pick<ClaimedTask, 'id' | 'token'>): string {
  return `${id} ${token}`;
}

export class ModelRuns {
  readonly held = new Map<string, ClaimedTask>();
  /** The runs that have begun. */
  readonly begun = new Set<string>();
  /** Those of what was taken ahead: it begins once a call that names it was answered. */
  readonly ahead = new Set<string>();
  /** Those that wait for a place, and go back; and those that came by a hand and have not ended. */
  private readonly crowded = new Set<string>();
  private readonly byHand = new Set<string>();
  private readonly places: ModelPlaces;
  private readonly onBegin: (id: string) => void;

  constructor(places: ModelPlaces, onBegin: (id: string) => void) {
    this.places = places;
    this.onBegin = onBegin;
  }

  get running(): number {
    return this.count(this.begun);
  }

  get handed(): number {
    return this.count(this.byHand);
  }

  hold(tasks: readonly ClaimedTask[], ahead: boolean): void {
    for (const task of tasks) {
      this.held.set(task.id, task);
      if (ahead) this.ahead.add(runOf(task));
      else this.begins(runOf(task));
    }
  }

  holdHanded(tasks: readonly ClaimedTask[]): void {
    for (const task of tasks) this.byHand.add(runOf(task));
    this.hold(tasks, false);
  }

  /** What was taken ahead was told of. */
  beginAhead(): void {
    for (const run of this.ahead) this.begins(run);
    this.ahead.clear();
  }

  /** It has found no place. */
  isCrowded(task: ClaimedTask): boolean {
    return this.crowded.has(runOf(task));
  }

  /** One that was taken ahead, and goes back because it finds no place in time, does not begin. */
  ends(task: ClaimedTask): void {
    this.ahead.delete(runOf(task));
    this.byHand.delete(runOf(task));
  }

  /** It is not its own any more, unless it has another token by now. */
  drop({ id, token }: Pick<ClaimedTask, 'id' | 'token'>): void {
    if (this.held.get(id)?.token === token) this.held.delete(id);
  }

  private begins(run: string): void {
    expect(this.begun.has(run), `${run} begins once`).toBe(false);
    if (this.places.isFull) {
      this.crowded.add(run);
      return;
    }
    this.begun.add(run);
    this.onBegin(run.slice(0, 36));
  }

  private count(runs: ReadonlySet<string>): number {
    return [...this.held.values()].filter((task) => runs.has(runOf(task))).length;
  }
}
