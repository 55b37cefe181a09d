// What a lease talks to, without a Redis.

import { ReplyError } from 'ioredis';
import type {
  Beat,
  Claimed,
  ClaimedTask,
  Consumer,
  Finished,
  Held,
  Outcome,
  Said,
} from '../../src/store/consumer.ts';

/** A queue in Redis that answers what the test has put there. */
export class FakeConsumer implements Consumer {
  readonly queue = 'mail';
  readonly claims: number[] = [];
  readonly finishes: { readonly outcomes: readonly Outcome[]; readonly want: number }[] = [];
  looks = 0;
  left = 0;
  isPaused = false;
  /** How often its worker was told to end. */
  stops = 0;
  /** What the next calls bring. */
  next: ClaimedTask[] = [];
  /** What Redis says this worker holds. */
  holds: ClaimedTask[] = [];
  stale: string[] = [];
  beatReply: Partial<Beat> = {};
  /** Another release keeps the queue: why, as the scripts say it. */
  refusal: string | undefined;
  /** What calls have said beside what they are for. */
  readonly said: Said[] = [];
  /** Popped messages that claims put back. */
  back = 0;
  /** Beats are not answered. */
  isSilent = false;
  /** The number that `held` answers. */
  upTo = 0;
  /** The next claiming call runs, and its reply is lost. */
  losesReply = false;

  async claim(_popped: unknown, want: number, _lower: unknown, said: Said): Promise<Claimed> {
    this.claims.push(want);
    this.said.push(said);
    return { ...this.#reply([]), back: this.back };
  }

  async finish(outcomes: readonly Outcome[], want: number, _lower: unknown, said: Said): Promise<Finished> {
    this.said.push(said);
    this.finishes.push({ outcomes, want });
    return this.#reply(outcomes);
  }

  async beat(_held: unknown, said: Said): Promise<Beat> {
    this.#refuse();
    this.said.push(said);
    if (this.isSilent) return new Promise(() => undefined);
    const { isPaused: paused, holds } = this;
    return {
      paused,
      held: holds.length,
      lost: [],
      cancel: [],
      isAnnounced: true,
      settledUpTo: 0,
      now: performance.now(),
      ...this.beatReply,
    };
  }

  async report(): Promise<void> {}

  source = async (): Promise<'open'> => 'open';
  readWait = async (): Promise<undefined> => undefined;
  checkpoint = async (): Promise<boolean> => true;

  readCheckpoint = async (): Promise<undefined> => undefined;
  readNeeds = async () => [];

  async held(): Promise<Held> {
    this.#refuse();
    this.looks += 1;
    return { upTo: this.upTo, tasks: this.holds };
  }

  async leave(): Promise<void> {
    this.left += 1;
  }

  #refuse(): void {
    if (this.refusal !== undefined) throw new ReplyError(`UPGRADE ${this.refusal}`);
  }

  #reply(outcomes: readonly Outcome[]): Finished {
    this.#refuse();
    const tasks = this.next.splice(0);
    const ended = new Set(outcomes.map(({ id }) => id));
    this.holds = [...this.holds.filter(({ id }) => !ended.has(id)), ...tasks];
    if (this.losesReply) {
      this.losesReply = false;
      throw new Error('Connection is closed.');
    }
    const stale = outcomes.filter(({ id }) => this.stale.includes(id));
    return { paused: this.isPaused, tasks, stale, toRelay: 0 };
  }
}

export function taskOf(id: string, claims = 1): ClaimedTask {
  const content = Buffer.alloc(3);
  return {
    queue: 'mail',
    id,
    claim: claims,
    token: `token ${claims} of ${id}`,
    failures: 0,
    crashes: 0,
    content,
  };
}
