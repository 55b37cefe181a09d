// What a world of workflows does with its steps, as the event streams tell it, and whether that is right.

import type { Redis } from 'ioredis';
import { expect } from 'vitest';
import { isTerminal, type TaskState } from '../../src/protocol/task-state.ts';
import type { Policy } from './flow-steps.ts';
import { type Journal, openJournal } from './moves.ts';

export interface SeenTask {
  readonly queue: string;
  readonly flow: string;
  readonly needs: readonly string[];
  readonly policy: Policy;
  generation: number;
  state: string;
  /** How often it began to be ready in this generation. */
  starts: number;
  end: { readonly generation: number; readonly state: string } | undefined;
  /** Somebody has cancelled it, or its workflow. */
  mayBeCancelled: boolean;
}

export class FlowWatch {
  readonly tasks = new Map<string, SeenTask>();
  /** Steps that have begun, in all. */
  starts = 0;
  private readonly journals: readonly Journal[];
  private readonly read = new Map<Journal, number>();

  constructor(client: Redis, queues: readonly string[]) {
    this.journals = queues.map((queue) => openJournal(client, queue));
  }

  /** Looks at all moves since the last time: first what has ended or waits again, then what has begun. */
  async watch(): Promise<void> {
    const begun: [string, SeenTask][] = [];
    for (const journal of this.journals) {
      await journal.read();
      for (const { id, state } of journal.moves.slice(this.read.get(journal) ?? 0)) {
        const task = this.tasks.get(id);
        if (!task) continue;
        if (state === 'waiting' && task.state !== 'none') {
          task.generation += 1;
          task.starts = 0;
        }
        if (state === 'ready' && task.state === 'waiting') begun.push([id, task]);
        if (isTerminal(state as TaskState)) task.end = { generation: task.generation, state };
        task.state = state;
      }
      this.read.set(journal, journal.moves.length);
    }
    for (const [id, task] of begun) this.checkStart(id, task);
  }

  private checkStart(id: string, task: SeenTask): void {
    this.starts += 1;
    task.starts += 1;
    expect(task.starts, `starts of ${id} in one generation`).toBe(1);
    for (const need of task.needs) {
      const source = this.tasks.get(need);
      const { end } = source ?? {};
      const isMet =
        end !== undefined &&
        (end.state === 'succeeded' || (task.policy === 'run' && end.generation === source?.generation));
      expect(isMet, `${id} begins although ${need} is ${source?.state} (${JSON.stringify(end)})`).toBe(true);
    }
  }

  /** Whatever could begin did, and what a failed need had to end did not. */
  checkStep(id: string): void {
    const task = this.tasks.get(id);
    if (!task || task.mayBeCancelled) return;
    const sources = task.needs.map((need) => this.tasks.get(need));
    if (sources.some((source) => source?.mayBeCancelled)) return;
    const failed = sources.some((source) => source?.end?.state !== 'succeeded');
    if (!failed || task.policy === 'run') expect(task.starts, `starts of ${id}`).toBe(1);
    else
      expect([task.starts, task.end?.state], id).toEqual([0, task.policy === 'fail' ? 'dead' : 'cancelled']);
  }
}
