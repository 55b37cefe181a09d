// A worker's side of one queue: claim, finish, beat and what belongs to them. Every write carries the claim number.

import type { Redis } from 'ioredis';
import { encodeCbor } from '../protocol/cbor.ts';
import { compact } from '../protocol/compact.ts';
import type { Lane, LowerShare } from '../protocol/lane.ts';
import { keyOf, type Place } from './keys.ts';
import { readSet } from './read-whole.ts';
import { readOrder, type WorkerOrder } from './worker-orders.ts';
import { bytesKept, readHeader, type TaskHeader } from './record.ts';
import type { ScriptArgument } from './script-call.ts';
import { type OUTCOMES, runScript, type ScriptName } from './scripts.ts';
import { MOST_SOURCES } from '../protocol/source.ts';
import { readWait, type SourceAnswer, type Wait } from './waits.ts';

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

/** How a run ended; lua/outcomes/ says what each word does. */
export type OutcomeWord = (typeof OUTCOMES)[number];

export interface Outcome {
  readonly id: string;
  readonly token: string;
  readonly word: OutcomeWord;
  /** Of the task's content, as the claim brought it. */
  readonly contentBytes: number;
  /** CBOR of the result or the error; empty where the word, or the handler, has none. */
  readonly payload: Buffer;
  /** Milliseconds until the next attempt, for `failed` and `snoozed`. */
  readonly delayMs: number;
  /** How long the finished task is kept; `undefined` = as long as the fleet keeps tasks. */
  readonly resultTtlMs?: number | undefined;
  /** Of a task that is dead: the group of its error, as `writeErrorGroup` writes it. */
  readonly group?: string | undefined;
  /** A log, progress or errors of earlier attempts may be kept beside its row: end.lua looks how much that is. */
  readonly hasHistory?: boolean | undefined;
}

interface Claims {
  readonly paused: boolean;
  readonly tasks: readonly ClaimedTask[];
}

export interface Claimed extends Claims {
  /** Popped messages that went back: the worker was handed tasks that it has not seen yet, and that take their places. */
  readonly back: number;
}

export interface Finished extends Claims {
  /** Ends of followed tasks: entries of the outbox that wait to be relayed. */
  readonly toRelay: number;
  /** Outcomes that did not count: their tasks belong to another worker by now. */
  readonly stale: readonly Outcome[];
}

export interface Beat {
  readonly paused: boolean;
  /** How many tasks Redis says this worker holds. */
  readonly held: number;
  readonly lost: readonly string[];
  readonly cancel: readonly string[];
  /** Whether Redis has what the worker says of itself (`announce`). */
  readonly isAnnounced: boolean;
  /** What a person wants of the worker; `undefined` = nothing was ever wanted. */
  readonly order?: WorkerOrder | undefined;
  /** Hands up to this number are spoken for: they were heard, they went back, or `held` finds what they brought. */
  readonly settledUpTo: number;
  /** The time of the scripts' clock, in milliseconds. */
  readonly now: number;
}

/** What a call says beside what it is for. */
export interface Said {
  readonly begun?: BegunWord;
  /** Tasks that may be handed to the worker if this call brings none; `undefined`: as it said last. */
  readonly free?: number | undefined;
  /** The number of the last hand that it has; `undefined`: as it said last. */
  readonly seen?: number | undefined;
}

/** Tasks that were handed to a worker, each with a number of its own: the last has this one. */
export interface Hand {
  readonly number: number;
  /** When it was sent, by the scripts' clock, in milliseconds. */
  readonly sentAt: number;
  readonly tasks: readonly ClaimedTask[];
}

/** How tasks have waited and run since the beat before. */
export interface Spans {
  /** Of each type, as lua/lib/type-runs.lua reads it; `''` = none has run. */
  readonly types: string;
  /** Flat, fields of SPAN_FIELDS and numbers. */
  readonly counts: readonly (string | number)[];
}

export interface Held {
  /** There is no other hand up to this number whose tasks are left. */
  readonly upTo: number;
  readonly tasks: readonly ClaimedTask[];
}

export interface TaskReport {
  readonly id: string;
  readonly token: string;
  readonly progress: { readonly percent: number; readonly note: string | undefined } | undefined;
  readonly lines: readonly string[];
}

/** Below `MOST_ARGUMENTS` by more than the keys of report.lua; a run logs a thousand lines at most. */
const REPORT_ARGUMENTS = 3_500;
const ID_CHARS = 36;
/** Tasks that one call of held.lua looks at. */
const HELD_A_CALL = 1_000;

/**
 * What Redis hears of what a worker may have begun. At first that is whatever it holds; a time in milliseconds: nothing that
 * was claimed after it; `all`: whatever it holds, also what it claims with this call; empty: as it said last.
 */
export type BegunWord = '' | 'all' | number;

/** All calls reject with the plain ioredis error; `isReplyLost` says whether they may have run. */
export interface Consumer {
  readonly queue: string;
  /** @param lower of the tasks wanted, those that are looked for at a lower lane first; also of `finish` */
  claim(popped: readonly PoppedMessage[], want: number, lower?: LowerShare, said?: Said): Promise<Claimed>;
  finish(outcomes: readonly Outcome[], want: number, lower?: LowerShare, said?: Said): Promise<Finished>;
  /** @param obeyed the order of the reply before */
  beat(
    held: readonly { readonly id: string; readonly token: string }[],
    said?: Said,
    obeyed?: WorkerOrder,
    spans?: Spans,
  ): Promise<Beat>;
  /** Writes progress and log lines of tasks that this worker runs. */
  report(reports: readonly TaskReport[]): Promise<void>;
  /** Keeps CBOR for the next run of a task that this worker runs. @returns false when it belongs to another one by now */
  checkpoint(task: Pick<ClaimedTask, 'id' | 'token'>, value: Uint8Array): Promise<boolean>;
  readCheckpoint(id: string): Promise<Buffer | undefined>;
  /**
   * A task that this worker runs may wait for this from now on.
   * @param digest of how it was asked for, without blanks
   * @param follower what follows the end of the task from now on, as `writeLink` writes it
   */
  source(
    task: Pick<ClaimedTask, 'id' | 'token'>,
    source: string,
    digest: string,
    follower?: string,
  ): Promise<SourceAnswer>;
  readWait(id: string): Promise<Wait | undefined>;
  /** What the needs of a task have brought: flat, for each its name, how its source ended, and CBOR of its result or error. */
  readNeeds(id: string): Promise<readonly Buffer[]>;
  /** What Redis says this worker holds: to adopt what a lost reply has hidden. Nothing is handed to it until it offers places again. */
  held(): Promise<Held>;
  /** Gives up the lease when nothing is held. */
  leave(): Promise<void>;
}

/** @param client a connection of `openCommandConnection` */
export function createConsumer(client: Redis, place: Place, worker: string, leaseMs: number): Consumer {
  const { queue } = place;
  const call = (script: ScriptName, args: readonly ScriptArgument[]): Promise<unknown> =>
    runScript(client, script, place, [worker, ...args]);

  return {
    queue,

    async claim(popped, want, lower = {}, said = {}) {
      const messages = popped.flatMap(({ lane, message }) => [lane, message]);
      const reply = await call('claim', [leaseMs, ...words(said), want, ...turns(lower), ...messages]);
      const [word, tasks, back] = reply as [Buffer, TaskReply, number];
      return { paused: isPaused(word), tasks: readTasks(queue, tasks), back };
    },

    async finish(outcomes, want, lower = {}, said = {}) {
      const successes = outcomes.filter(isPlainSuccess);
      const others = outcomes.filter((one) => !isPlainSuccess(one));
      const args = [leaseMs, ...words(said), want, ...turns(lower), ...successArguments(successes)];
      for (const { id, token, word, payload, delayMs, resultTtlMs, group } of others) {
        args.push(id, token, word, payload, delayMs, resultTtlMs ?? '', group ?? '');
      }
      // Nearly all calls have nothing but successes: they declare fewer keys.
      const reply = await call(others.length === 0 ? 'finish' : 'finish-any', args);
      const [word, stale, tasks, toRelay] = reply as [Buffer, number[], TaskReply, number];
      const sent = [...successes, ...others];
      return {
        paused: isPaused(word),
        stale: stale.map((position) => sent[position - 1]).filter((one) => one !== undefined),
        tasks: readTasks(queue, tasks),
        toRelay,
      };
    },

    async beat(held, said = {}, obeyed, { types, counts } = { types: '', counts: [] }) {
      const first = [leaseMs, ...words(said), obeyed ?? '', types, counts.length / 2, ...counts];
      const args = [...first, ...held.flatMap(({ id, token }) => [id, token])];
      const reply = (await call('beat', args)) as BeatReply;
      const [word, count, lost, cancel, announced, order, settledUpTo, now] = reply;
      return {
        paused: isPaused(word),
        held: count,
        lost: lost.map(String),
        cancel: cancel.map(String),
        isAnnounced: announced === 1,
        order: readOrder(String(order)),
        settledUpTo: Number(settledUpTo),
        now: Number(now),
      };
    },

    async report(reports) {
      const calls: ScriptArgument[][] = [];
      for (const { id, token, progress, lines } of reports) {
        const own = [id, token, progress ? encodeCbor(compact(progress)) : '', lines.length, ...lines];
        const last = calls.at(-1);
        if (last && last.length + own.length <= REPORT_ARGUMENTS) last.push(...own);
        else calls.push(own);
      }
      // All of them before what is sent next, which may end these tasks.
      await Promise.all(calls.map((args) => runScript(client, 'report', place, args)));
    },

    async checkpoint({ id, token }, value) {
      const args = [id, token, Buffer.from(value)];
      return (await runScript(client, 'checkpoint', place, args)) === 1;
    },

    readNeeds: async (id) => (await runScript(client, 'needs', place, [id])) as Buffer[],
    readCheckpoint: async (id) => (await client.hgetBuffer(keyOf(place, 'checkpoints'), id)) ?? undefined,

    async source({ id, token }, source, digest, follower = '') {
      const args = [id, token, source, digest, MOST_SOURCES, follower];
      return String(await runScript(client, 'source', place, args)) as SourceAnswer;
    },

    readWait: (id) => readWait(client, place, id),
    held: () => readHeld(client, place, (ids) => call('held', ids)),

    async leave() {
      await call('leave', []);
    },
  };
}

/** @param look a call of held.lua */
async function readHeld(
  client: Redis,
  place: Place,
  look: (ids: readonly string[]) => Promise<unknown>,
): Promise<Held> {
  // First the number: from then on nothing is handed to it.
  const [upTo] = (await look([])) as HeldReply;
  // Of all workers: which are its own, their headers say.
  const ids = await readSet(client, keyOf(place, 'running'));
  const tasks: ClaimedTask[] = [];
  for (let at = 0; at < ids.length; at += HELD_A_CALL) {
    const [, held] = (await look(ids.slice(at, at + HELD_A_CALL))) as HeldReply;
    tasks.push(...readTasks(place.queue, held));
  }
  return { upTo: Number(upTo), tasks };
}

/** `begun`, free places and the last hand, as claim.lua reads them. */
function words({ begun = '', free, seen }: Said): readonly (string | number)[] {
  return [begun, free ?? '', seen ?? ''];
}

/**
 * Reads what was handed to a worker (lua/lib/hand-over.lua).
 * @param message of the channel `handChannel` of this queue and worker
 */
export function readHand(queue: string, message: Buffer): Hand {
  const headEnd = message.indexOf('\n');
  const [number = 0, sentAt = 0, ...sizes] = message.toString('latin1', 0, headEnd).split(' ').map(Number);
  const flat: Buffer[] = [];
  let at = headEnd + 1;
  for (let one = 0; one < sizes.length; one += 2) {
    for (const bytes of [ID_CHARS, sizes[one] ?? 0, sizes[one + 1] ?? 0]) {
      flat.push(message.subarray(at, at + bytes));
      at += bytes;
    }
  }
  return { number, sentAt, tasks: readTasks(queue, flat) };
}

function turns({ low = 0, normal = 0 }: LowerShare): readonly number[] {
  return [low, normal];
}

/** The outcome that most tasks have, which succeeded.lua records in bulk. */
function isPlainSuccess({ word, resultTtlMs, hasHistory }: Outcome): boolean {
  return word === 'succeeded' && resultTtlMs === undefined && hasHistory !== true;
}

/** As finish.lua reads them. Tasks that were claimed together often have one token and one size: they make a group. */
function successArguments(successes: readonly Outcome[]): ScriptArgument[] {
  const ids: string[] = [];
  const groups: { readonly token: string; readonly bytes: number; count: number }[] = [];
  const results: ScriptArgument[] = [];
  for (const { id, token, contentBytes, payload } of successes) {
    const own = bytesKept(contentBytes, payload.length);
    ids.push(id);
    const group = groups.at(-1);
    if (group?.token === token && group.bytes === own) group.count += 1;
    else groups.push({ token, bytes: own, count: 1 });
    if (payload.length > 0) results.push(id, payload);
  }
  const flat = groups.flatMap((group) => [group.token, group.bytes, group.count]);
  return [ids.length, ...ids, groups.length, ...flat, results.length / 2, ...results];
}

type BeatReply = readonly [
  paused: Buffer,
  held: number,
  lost: readonly Buffer[],
  cancel: readonly Buffer[],
  announced: number,
  order: Buffer,
  settledUpTo: Buffer,
  now: Buffer,
];

type HeldReply = readonly [upTo: Buffer, held: TaskReply];

/** Flat: id, header and content of each task. */
type TaskReply = readonly Buffer[];

function readTasks(queue: string, reply: TaskReply): ClaimedTask[] {
  const tasks: ClaimedTask[] = [];
  let token = '';
  let header: TaskHeader | undefined;
  for (let at = 0; at + 2 < reply.length; at += 3) {
    const text = (reply[at + 1] as Buffer).toString('latin1');
    // Tasks that are claimed together often have the same.
    if (text !== token || !header) {
      token = text;
      header = readHeader(text);
    }
    const { claims: claim, failures, crashes } = header;
    const id = (reply[at] as Buffer).toString('latin1');
    tasks.push({ queue, id, claim, token, failures, crashes, content: reply[at + 2] as Buffer });
  }
  return tasks;
}

function isPaused(word: Buffer): boolean {
  return word.toString() === 'paused';
}
