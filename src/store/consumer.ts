// A worker's side of one queue: claim, finish, beat and what belongs to them. Every write carries the claim number.

import type { Redis } from 'ioredis';
import { encodeCbor } from '../protocol/cbor.ts';
import type { Lane } from '../protocol/lane.ts';
import { queueKey } from './keys.ts';
import { runScript, type ScriptArgument, type ScriptName } from './scripts.ts';

export interface ClaimedTask {
  readonly queue: string;
  readonly id: string;
  /** The token of every later write. */
  readonly claim: number;
  /** Failures of the handler so far; what users see as `attempt` is one more. */
  readonly failures: number;
  /** Workers lost while they ran it: a task with any runs in a process of its own. */
  readonly crashes: number;
  /** The whole message: a slice of a reply buffer, copied before it is handed to a thread. */
  readonly message: Buffer;
}

export interface PoppedMessage {
  readonly lane: Lane;
  readonly message: Buffer;
}

/** How a run ended; finish.lua says what each word does. */
export type OutcomeWord = 'succeeded' | 'dead' | 'cancelled' | 'retry' | 'postponed' | 'released' | 'crashed';

export interface Outcome {
  readonly id: string;
  readonly claim: number;
  readonly word: OutcomeWord;
  /** CBOR of the result or the error; empty where the word has none. */
  readonly payload: Buffer;
  /** Milliseconds until the next attempt, for `retry` and `postponed`. */
  readonly delayMs: number;
  /** How long the finished task is kept; `undefined` = as long as the fleet keeps tasks. */
  readonly resultTtlMs?: number | undefined;
}

export interface Claims {
  readonly paused: boolean;
  readonly tasks: readonly ClaimedTask[];
}

export interface Finished extends Claims {
  /** For each outcome whether it counted; `false` means the task belongs to somebody else by now. */
  readonly accepted: readonly boolean[];
}

export interface Beat {
  readonly paused: boolean;
  /** How many tasks Redis says this worker holds. */
  readonly held: number;
  readonly lost: readonly string[];
  readonly cancel: readonly string[];
}

export interface TaskReport {
  readonly id: string;
  readonly claim: number;
  readonly progress: { readonly percent: number; readonly note: string | undefined } | undefined;
  readonly lines: readonly string[];
}

/** Lines kept of a task's log. */
const LOG_LINES_KEPT = 1_000;

/** All calls reject with the plain ioredis error; `isReplyLost` tells whether they may have run. */
export interface Consumer {
  readonly queue: string;
  /** @param first where to begin to look (`LANES_FROM`), also of `finish` */
  claim(popped: readonly PoppedMessage[], want: number, first?: Lane): Promise<Claims>;
  finish(outcomes: readonly Outcome[], want: number, first?: Lane): Promise<Finished>;
  beat(held: readonly { readonly id: string; readonly claim: number }[]): Promise<Beat>;
  /** Writes progress and log lines of tasks that this worker runs. */
  report(reports: readonly TaskReport[]): Promise<void>;
  /** What Redis says this worker holds: to adopt what a lost reply has hidden. */
  held(): Promise<readonly ClaimedTask[]>;
  /** Gives up the lease when nothing is held. */
  leave(): Promise<void>;
}

/** @param client a connection of `openCommandConnection` */
export function createConsumer(client: Redis, queue: string, worker: string, leaseMs: number): Consumer {
  const key = queueKey(queue);
  const call = (script: ScriptName, args: readonly ScriptArgument[]): Promise<unknown> =>
    runScript(client, script, key, [worker, ...args]);

  return {
    queue,

    async claim(popped, want, first = 'high') {
      const messages = popped.flatMap(({ lane, message }) => [lane, message]);
      const [word, tasks] = (await call('claim', [leaseMs, want, first, ...messages])) as [Buffer, TaskReply];
      return { paused: isPaused(word), tasks: readTasks(queue, tasks) };
    },

    async finish(outcomes, want, first = 'high') {
      const args = outcomes.flatMap((one) => [
        one.id,
        one.claim,
        one.word,
        one.payload,
        one.delayMs,
        one.resultTtlMs ?? '',
      ]);
      const reply = await call('finish', [leaseMs, want, first, ...args]);
      const [word, verdicts, tasks] = reply as [Buffer, Buffer[], TaskReply];
      return {
        paused: isPaused(word),
        accepted: verdicts.map((verdict) => verdict.toString() === 'accepted'),
        tasks: readTasks(queue, tasks),
      };
    },

    async beat(held) {
      const reply = await call('beat', [leaseMs, ...held.flatMap(({ id, claim }) => [id, claim])]);
      const [word, count, lost, cancel] = reply as [Buffer, number, Buffer[], Buffer[]];
      return { paused: isPaused(word), held: count, lost: lost.map(String), cancel: cancel.map(String) };
    },

    async report(reports) {
      const args = reports.flatMap(({ id, claim, progress, lines }) => [
        id,
        claim,
        progress ? encodeCbor(progress.note === undefined ? { percent: progress.percent } : progress) : '',
        lines.length,
        ...lines,
      ]);
      await call('report', [LOG_LINES_KEPT, ...args]);
    },

    async held() {
      return readTasks(queue, (await call('held', [])) as TaskReply);
    },

    async leave() {
      await call('leave', []);
    },
  };
}

/** Flat: id, claims, failures, crashes, message of each task. */
type TaskReply = readonly (Buffer | number)[];

function readTasks(queue: string, reply: TaskReply): ClaimedTask[] {
  const tasks: ClaimedTask[] = [];
  for (let at = 0; at < reply.length; at += 5) {
    tasks.push({
      queue,
      id: String(reply[at]),
      claim: Number(reply[at + 1]),
      failures: Number(reply[at + 2]),
      crashes: Number(reply[at + 3]),
      message: reply[at + 4] as Buffer,
    });
  }
  return tasks;
}

function isPaused(word: Buffer): boolean {
  return word.toString() === 'paused';
}
