// A worker's side of one queue: claim, finish, beat and what belongs to them. Every write carries the claim number.

import type { Redis } from 'ioredis';
import { encodeCbor } from '../protocol/cbor.ts';
import type { Lane } from '../protocol/lane.ts';
import { queueKey } from './keys.ts';
import { readHeader } from './record.ts';
import { runScript, type ScriptArgument, type ScriptName } from './scripts.ts';

export interface ClaimedTask {
  readonly queue: string;
  readonly id: string;
  /** How often it was claimed, this time included. */
  readonly claim: number;
  /** Goes with every later write: the header that the claim gave it, which names worker and claim number. */
  readonly token: string;
  /** Failures of the handler so far; what users see as `attempt` is one more. */
  readonly failures: number;
  /** Workers lost while they ran it: a task with any runs in a process of its own. */
  readonly crashes: number;
  /** CBOR `[type, input, options?]`: a slice of a reply buffer, copied before it is handed to a thread. */
  readonly content: Buffer;
}

export interface PoppedMessage {
  readonly lane: Lane;
  readonly message: Buffer;
}

/** How a run ended; finish.lua says what each word does. */
export type OutcomeWord = 'succeeded' | 'dead' | 'cancelled' | 'retry' | 'postponed' | 'released' | 'crashed';

export interface Outcome {
  readonly id: string;
  readonly token: string;
  readonly word: OutcomeWord;
  /** Of the task's content, as the claim brought it. */
  readonly contentBytes: number;
  /** CBOR of the result or the error; empty where the word, or the handler, has none. */
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
  /** Outcomes that did not count: their tasks belong to somebody else by now. */
  readonly stale: readonly Outcome[];
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
  readonly token: string;
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
  beat(held: readonly { readonly id: string; readonly token: string }[]): Promise<Beat>;
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
      const successes = outcomes.filter(isPlainSuccess);
      const others = outcomes.filter((one) => !isPlainSuccess(one));
      const args = [leaseMs, want, first, ...successArguments(successes)];
      for (const { id, token, word, payload, delayMs, resultTtlMs } of others) {
        args.push(id, token, word, payload, delayMs, resultTtlMs ?? '');
      }
      const [word, stale, tasks] = (await call('finish', args)) as [Buffer, number[], TaskReply];
      const sent = [...successes, ...others];
      return {
        paused: isPaused(word),
        stale: stale.map((position) => sent[position - 1]).filter((one) => one !== undefined),
        tasks: readTasks(queue, tasks),
      };
    },

    async beat(held) {
      const reply = await call('beat', [leaseMs, ...held.flatMap(({ id, token }) => [id, token])]);
      const [word, count, lost, cancel] = reply as [Buffer, number, Buffer[], Buffer[]];
      return { paused: isPaused(word), held: count, lost: lost.map(String), cancel: cancel.map(String) };
    },

    async report(reports) {
      const args = reports.flatMap(({ id, token, progress, lines }) => [
        id,
        token,
        progress ? encodeCbor(progress.note === undefined ? { percent: progress.percent } : progress) : '',
        lines.length,
        ...lines,
      ]);
      await runScript(client, 'report', key, [LOG_LINES_KEPT, ...args]);
    },

    async held() {
      return readTasks(queue, (await call('held', [])) as TaskReply);
    },

    async leave() {
      await call('leave', []);
    },
  };
}

/** The outcome that most tasks have, for which finish.lua has a short form. */
function isPlainSuccess({ word, resultTtlMs }: Outcome): boolean {
  return word === 'succeeded' && resultTtlMs === undefined;
}

/** In columns, so that the script can pass on whole ranges of its arguments. */
function successArguments(successes: readonly Outcome[]): ScriptArgument[] {
  const bytes = successes.map(({ contentBytes, payload }) => contentBytes + payload.length);
  const args: ScriptArgument[] = [successes.length, bytes.reduce((sum, one) => sum + one, 0)];
  for (const { id } of successes) args.push(id);
  for (const { token } of successes) args.push(token);
  args.push(...bytes);
  const withResult = successes.filter(({ payload }) => payload.length > 0);
  args.push(withResult.length);
  for (const { id, payload } of withResult) args.push(id, payload);
  return args;
}

/** Flat: id, header and content of each task. */
type TaskReply = readonly Buffer[];

function readTasks(queue: string, reply: TaskReply): ClaimedTask[] {
  const tasks: ClaimedTask[] = [];
  for (let at = 0; at + 2 < reply.length; at += 3) {
    const token = String(reply[at + 1]);
    const { claims, failures, crashes } = readHeader(token);
    const content = reply[at + 2] as Buffer;
    tasks.push({ queue, id: String(reply[at]), claim: claims, token, failures, crashes, content });
  }
  return tasks;
}

function isPaused(word: Buffer): boolean {
  return word.toString() === 'paused';
}
