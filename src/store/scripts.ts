// The Lua scripts: each is put together from the tables that TypeScript owns, the parts it needs, and a file of its own.

import { readFileSync } from 'node:fs';
import type { Redis } from 'ioredis';
import { encodeCbor } from '../protocol/cbor.ts';
import { DEFAULT_LANE, LANES, LANES_FROM } from '../protocol/lane.ts';
import type { TaskError } from '../protocol/task-error.ts';
import { TRANSITIONS } from '../protocol/task-state.ts';
import { COLUMN_ORDER, COLUMNS, ROW_BYTES, VALUE_BYTES } from './record.ts';

/** How a run may end: a file each, which finish.lua calls by this word. */
export const OUTCOMES = [
  'succeeded',
  'failed',
  'snoozed',
  'released',
  'dead',
  'cancelled',
  'crashed',
] as const;

/** What a claim asks of a ready task before it takes it, in this order (`is_held_back` in lib/take.lua). */
const GUARDS = ['expiry'];

/** What a sweep does, in this order. */
const DUTIES = ['due', 'lost-workers', 'lost-pops', 'unstarted', 'kept', 'old', 'excess', 'ticks', 'plans'];

/** Parts that scripts have in common. Each call makes their functions anew, so no script has more than it needs. */
const ARGS = ['lib/args'];
const QUEUE = [...ARGS, 'lib/clock'];
const ROWS = [...QUEUE, 'lib/header', 'lib/row'];
const MOVES = [...ROWS, 'lib/move', 'lib/push'];
const ACCEPT = [...MOVES, 'lib/accept', 'lib/extras'];
const END = [...MOVES, 'lib/end'];
const TAKE = [...END, 'lib/accept', 'lib/worker', ...GUARDS.map((name) => `guards/${name}`), 'lib/take'];

/** Each script with the parts that go before its own file, in their order. */
const SCRIPTS = {
  read: ARGS,
  scan: ARGS,
  snapshot: ARGS,
  probe: ARGS,
  rows: [...ARGS, 'lib/header'],
  page: ARGS,
  enqueue: ACCEPT,
  claim: TAKE,
  finish: [...TAKE, 'lib/attempts', ...OUTCOMES.map((word) => `outcomes/${word}`)],
  beat: [...ROWS, 'lib/worker'],
  held: [...ROWS, 'lib/worker'],
  leave: [...QUEUE, 'lib/worker'],
  report: [...ROWS, 'lib/move'],
  sweep: [
    ...END,
    'lib/worker',
    'lib/attempts',
    'lib/remove',
    'lib/plans',
    ...DUTIES.map((name) => `sweep/${name}`),
  ],
  tick: [...ACCEPT, 'lib/plans'],
  schedule: [...QUEUE, 'lib/plans'],
  cancel: [...END, 'lib/remove'],
  retry: END,
  remove: [...END, 'lib/remove'],
  explain: [...MOVES, 'lib/worker'],
  pause: QUEUE,
} as const satisfies Record<string, readonly string[]>;

/** Scripts that Redis refuses at `maxmemory`: acknowledging must always work, accepting must not. */
const REFUSED_WHEN_FULL: ReadonlySet<string> = new Set(['enqueue', 'report', 'tick', 'schedule', 'retry']);
export type ScriptName = keyof typeof SCRIPTS;

/** Bytes must be Buffers: ioredis writes other typed arrays as text. */
export type ScriptArgument = string | number | Buffer;

export interface ScriptSource {
  readonly lua: string;
  readonly numberOfKeys: 1;
}

export interface ScriptBuild {
  /** False for Redis before 7.0, which knows no script flags. */
  readonly flags: boolean;
  /** Rewrites lib/clock.lua: tests give the scripts a clock of their own. */
  readonly patch?: (clock: string) => string;
}

/** Errors that scripts write by themselves, as CBOR of a `TaskError`. */
const ERRORS = {
  POISON_ERROR: { name: 'PoisonTask', message: 'its worker was lost three times while it ran this task' },
  LEASES_LOST_ERROR: {
    name: 'PoisonTask',
    message:
      'twenty workers lost their lease while this task ran in a process of its own, which never ended by itself',
  },
  LOST_ERROR: { name: 'WorkerLost', message: 'the worker was not heard of any more while it ran this task' },
  CANCELLED_ERROR: { name: 'Cancelled', message: 'it was cancelled while it ran' },
  EXPIRED_ERROR: { name: 'Expired', message: 'it was not started before it expired' },
} satisfies Record<string, TaskError>;

/** Reads the `.lua` files beside this module and builds every script. */
export function buildScripts(build: ScriptBuild = { flags: true }): Record<ScriptName, ScriptSource> {
  const patch = build.patch ?? ((clock: string) => clock);
  const tables = luaTable([
    ['TRANSITIONS', luaTable(Object.entries(TRANSITIONS).map(([from, to]) => [from, luaSet(to)]))],
    ['LANES', luaList(LANES)],
    ['DEFAULT_LANE', `'${DEFAULT_LANE}'`],
    ['LANES_FROM', luaTable(LANES.map((lane) => [lane, luaList(LANES_FROM[lane])]))],
    ['COLUMNS', luaTable(Object.entries(COLUMNS).map(([name, key]) => [name, `'${key}'`]))],
    ['ROW_BYTES', String(ROW_BYTES)],
    ['VALUE_BYTES', String(VALUE_BYTES)],
    ...Object.entries(ERRORS).map(([name, error]) => [name, luaBytes(encodeCbor(error))] as const),
    ...['guards', 'outcomes', 'duties'].map((name) => [name, '{}'] as const),
  ]);
  const shared = `local Q = ${tables}`;
  const columnNames = [
    'local Q = {}',
    `local COLUMN_NAMES = ${luaList(COLUMN_ORDER.map((name) => COLUMNS[name]))}`,
    `local CONTENT, HEADER = '${COLUMNS.content}', '${COLUMNS.header}'`,
    `local RESULT, PROGRESS = '${COLUMNS.result}', '${COLUMNS.progress}'`,
  ].join('\n');
  const texts = new Map<string, string>();
  const textOf = (part: string): string => {
    const text = texts.get(part) ?? readFileSync(new URL(`lua/${part}.lua`, import.meta.url), 'utf8');
    texts.set(part, text);
    return part === 'lib/clock' ? patch(text) : text;
  };
  const sources = Object.entries(SCRIPTS).map(([name, parts]: [string, readonly string[]]) => {
    const header = build.flags ? `#!lua${REFUSED_WHEN_FULL.has(name) ? '' : ' flags=allow-oom'}\n` : '';
    const opening = parts.includes('lib/clock') ? shared : columnNames;
    return [name, { lua: [header + opening, ...[...parts, name].map(textOf)].join('\n'), numberOfKeys: 1 }];
  });
  return Object.fromEntries(sources) as Record<ScriptName, ScriptSource>;
}

function luaTable(entries: readonly (readonly [string, string])[]): string {
  return `{ ${entries.map(([key, value]) => `${key} = ${value}`).join(', ')} }`;
}

function luaBytes(bytes: Uint8Array): string {
  return `'${Array.from(bytes, (byte) => `\\${String(byte).padStart(3, '0')}`).join('')}'`;
}

function luaList(words: readonly string[]): string {
  return `{ ${words.map((word) => `'${word}'`).join(', ')} }`;
}

function luaSet(words: readonly string[]): string {
  return luaTable(words.map((word) => [word, 'true']));
}

/**
 * Runs one script. Every reply text comes as a Buffer, because results and messages are bytes.
 * @param key the queue's prefix (`queueKey`), the only declared key
 */
export function runScript(
  client: Redis,
  name: ScriptName,
  key: string,
  args: readonly ScriptArgument[],
): Promise<unknown> {
  const scripts = client as unknown as Record<
    string,
    (key: string, ...args: ScriptArgument[]) => Promise<unknown>
  >;
  const run = scripts[`${scriptCommand(name)}Buffer`];
  if (!run) throw new TypeError(`script ${name} is not defined on this connection`);
  return run.call(client, key, ...args);
}

/** Makes the scripts known to a connection; a later call replaces them. ioredis sends them once, then their digests. */
export function defineScripts(client: Redis, scripts: Record<ScriptName, ScriptSource>): void {
  for (const [name, source] of Object.entries(scripts)) {
    client.defineCommand(scriptCommand(name as ScriptName), source);
  }
}

/** The ioredis method of a script: prefixed, so that it can never shadow a Redis command. */
function scriptCommand(name: ScriptName): string {
  return `pf_${name}`;
}
