// What handlers wait for without a slot: a token of their task, its children, or a time (lua/lib/waits.lua).

import type { Redis } from 'ioredis';
import { keyOf, type Place } from './keys.ts';
import { runScript } from './scripts.ts';

/** What a handler has asked to wait for. */
export interface WaitRequest {
  /** A token is a dot and its name, a child `>` and its id; none: it waits for a time, or for nothing. */
  readonly sources: readonly string[];
  /** Milliseconds after which the wait ends whatever has come. */
  readonly timeoutMs?: number | undefined;
  /** Milliseconds since 1970 until which it waits. */
  readonly untilMs?: number | undefined;
}

/** `stale`: the task belongs to another worker; `conflict`: it was asked for otherwise before; `many`: there are `MOST_SOURCES`. */
export type SourceAnswer = 'stale' | 'conflict' | 'many' | 'open' | 'ended';

/** How a source has ended, or `open`. `gone`: the task has no such source. */
export interface SourceEnd {
  readonly source: string;
  readonly word: 'open' | 'late' | 'gone' | 'succeeded' | 'dead' | 'cancelled';
  /** CBOR. */
  readonly value: Buffer | undefined;
}

/** The latest wait of a task. */
export interface Wait {
  /** `none`: it has not waited for anything yet. */
  readonly word: 'open' | 'met' | 'late' | 'none';
  /** How often the task began anew, and asked for its sources anew. */
  readonly anew: number;
  readonly ends: readonly SourceEnd[];
}

/** Something that handlers may wait for has come. */
export interface Completion {
  /** The task that may wait for it. */
  readonly id: string;
  readonly source: string;
  readonly word: 'succeeded' | 'dead' | 'cancelled' | 'gone';
  /** Without blanks: the same source that brings the same again is a repeat. */
  readonly digest?: string;
  /** CBOR. */
  readonly value?: Buffer | undefined;
}

/**
 * `unknown`: the task has no such source; `known`: a repeat; `conflict`: something else has come before; `late`: the wait was over before;
 * `ended`: the task has ended; `noted`: nobody waits for it at this moment; `waiting`: for others too; `ready`: the task runs again.
 */
export type CompleteAnswer =
  | 'unknown'
  | 'known'
  | 'conflict'
  | 'late'
  | 'ended'
  | 'noted'
  | 'waiting'
  | 'ready';

const SOURCES_A_CALL = 1_000;

/** Tells tasks of one place what has come. To tell twice is to tell once. It works in a full Redis. @throws Error of ioredis */
export async function completeSources(
  client: Redis,
  place: Place,
  completions: readonly Completion[],
): Promise<readonly CompleteAnswer[]> {
  const args = completions.flatMap(({ id, source, word, digest = '-', value }) => [
    id,
    source,
    word,
    digest,
    value ?? Buffer.alloc(0),
  ]);
  return ((await runScript(client, 'complete', place, args)) as Buffer[]).map(String) as CompleteAnswer[];
}

/** @throws Error of ioredis */
export async function readWait(client: Redis, place: Place, id: string): Promise<Wait | undefined> {
  const [word, , , anew, ...sources] = (await client.hget(keyOf(place, 'waits'), id))?.split(' ') ?? [];
  if (word === undefined) return undefined;
  const ends: SourceEnd[] = [];
  for (let at = 0; at < sources.length; at += SOURCES_A_CALL) {
    const some = sources.slice(at, at + SOURCES_A_CALL);
    const fields = some.map((source) => `${id} ${source}`);
    const values = await client.hmgetBuffer(keyOf(place, 'source-values'), ...fields);
    ends.push(...some.map((source, index) => readEnd(source, values[index])));
  }
  return { word: word as Wait['word'], anew: Number(anew) || 0, ends };
}

function readEnd(source: string, value: Buffer | null | undefined): SourceEnd {
  if (!value) return { source, word: 'gone', value: undefined };
  if (value.length === 0) return { source, word: 'open', value: undefined };
  const blank = value.indexOf(0x20);
  const word = value.subarray(0, blank).toString() as SourceEnd['word'];
  const from = value.indexOf(0x20, blank + 1) + 1;
  return { source, word, value: from < value.length ? value.subarray(from) : undefined };
}
