// The Lua scripts: each is put together from the tables that TypeScript owns, the parts it needs, and a file of its own.

import { readFileSync } from 'node:fs';
import type { Redis } from 'ioredis';
import { encodeCbor } from '../protocol/cbor.ts';
import { DEFAULT_LANE, LANES, LANES_FROM } from '../protocol/lane.ts';
import type { TaskError } from '../protocol/task-error.ts';
import { TRANSITIONS } from '../protocol/task-state.ts';
import { HAND_GRACE_MS } from './hand-grace.ts';
import { type Place, prefixOf, SCRIPT_KEY_GROUPS, SCRIPT_KEYS } from './keys.ts';
import { PROTOCOL } from './protocol-number.ts';
import { LOG_LINES_A_CHUNK, LOG_LINES_KEPT, ROW_BYTES, VALUE_BYTES } from './record.ts';
import { CallableScript, callScript, type ScriptArgument } from './script-call.ts';
import { COUNT_FIELDS, STAYS_FROM_MS } from './totals.ts';

/** How a run may end: a file each, which finish.lua calls by this word. */
export const OUTCOMES = [
  'succeeded',
  'failed',
  'snoozed',
  'suspended',
  'released',
  'unbegun',
  'dead',
  'cancelled',
  'crashed',
] as const;

/** What a claim asks of a ready task before it takes it, in this order (`is_held_back` in lib/take.lua). */
const GUARDS = ['expiry'];

/** What a sweep does, in this order. */
const DUTIES = [
  'due',
  'hands',
  'lost-workers',
  'lost-pops',
  'unstarted',
  'kept',
  'old',
  'excess',
  'idempotency',
  'outbox',
  'marks',
  'needs',
  'waits',
  'workflows',
  'batches',
  'error-groups',
  'ticks',
  'plans',
  'operations',
  'series',
];

/** What a person does to a task, or an operation to many: a file each. */
const ACTS = ['cancel', 'retry', 'delete', 'move'];

/** A part inside a function that opens it: most calls that accept tasks find nobody to hand them to, and need none of it. */
const SHARE_OUT = 'open_share_out';

/** Parts that scripts have in common. Each call makes their functions anew, so no script has more than it needs. */
const ARGS = ['lib/args'];
const LOOKS = [...ARGS, 'lib/clock', 'lib/protocol'];
const QUEUE = [...LOOKS, 'lib/begin'];
const ROWS = [...QUEUE, 'lib/header', 'lib/row'];
const MOVES = [...ROWS, 'lib/event', 'lib/move', 'lib/push'];
/** Tasks that are ready go straight to idle workers: `accept_gathered` calls it where it is there. */
const HAND_OVER = ['lib/hand-over', SHARE_OUT];
const OFFERS = ['lib/hands', 'lib/offers'];
const ACCEPT = [
  ...MOVES,
  'lib/accept',
  'lib/standstill',
  'lib/followed',
  'lib/terms',
  'lib/start',
  'lib/extras',
];
const FLOWS = ['lib/steps', 'lib/outbox', 'lib/workflows'];
const END = [...MOVES, 'lib/log-chunks', 'lib/steps', 'lib/outbox', 'lib/end'];
const DIE = ['lib/terms', 'lib/error-groups'];
const GUARDED = GUARDS.map((name) => `guards/${name}`);
const WORKER = ['lib/holds', ...OFFERS, 'lib/worker'];
const TAKE = [...END, ...DIE, 'lib/accept', ...WORKER, ...GUARDED, 'lib/take'];
const REMOVE = ['lib/log', 'lib/unindex', 'lib/remove'];
const ACT = [...END, ...REMOVE];

/** Each script with the parts that go before its own file, in their order. */
const SCRIPTS = {
  read: ARGS,
  scan: ARGS,
  snapshot: ARGS,
  probe: ARGS,
  rows: [...ARGS, 'lib/header'],
  page: [...ARGS, 'lib/rank'],
  search: ARGS,
  group: ARGS,
  enqueue: ACCEPT,
  hand: [...ACCEPT, ...HAND_OVER],
  wait: [...ACCEPT, 'lib/needed', 'lib/needs', 'lib/steps'],
  settle: [...END, ...DIE, 'lib/start'],
  needs: [...ARGS, 'lib/needs-of'],
  step: [...ACT, 'acts/cancel'],
  rewait: [...MOVES, 'lib/unindex', 'lib/steps', 'acts/retry'],
  'workflow-open': [...ROWS, 'lib/followed', 'lib/workflows', 'lib/workflow-record'],
  workflow: [...ROWS, 'lib/event', ...FLOWS],
  'batch-open': [...ROWS, 'lib/followed', 'lib/steps', 'lib/outbox', 'lib/batches', 'lib/batch-ends'],
  batch: [...ROWS, 'lib/steps', 'lib/outbox', 'lib/batches', 'lib/batch-ends'],
  void: QUEUE,
  claim: TAKE,
  source: [...ROWS, 'lib/needed', 'lib/followed'],
  complete: [...MOVES, 'lib/waits'],
  finish: [...TAKE, 'lib/attempts', 'lib/needed', 'lib/waits', ...OUTCOMES.map((word) => `outcomes/${word}`)],
  beat: [...ROWS, ...OFFERS, 'lib/worker'],
  held: [...ROWS, ...OFFERS],
  leave: [...QUEUE, 'lib/worker'],
  report: [...ROWS, 'lib/event', 'lib/move', 'lib/log-chunks', 'lib/log'],
  checkpoint: ROWS,
  sweep: [
    ...END,
    ...DIE,
    ...HAND_OVER,
    'lib/holds',
    'lib/hands',
    'lib/worker',
    'lib/attempts',
    'lib/waits',
    ...REMOVE,
    'lib/plans',
    'lib/standstill',
    'lib/workflows',
    'lib/batches',
    ...DUTIES.map((name) => `sweep/${name}`),
  ],
  tick: [...ACCEPT, ...HAND_OVER, ...FLOWS, 'lib/workflow-record', 'lib/plans'],
  schedule: [...QUEUE, 'lib/plans'],
  cancel: [...ACT, 'acts/cancel'],
  retry: [...MOVES, 'lib/terms', 'lib/unindex', 'lib/steps', 'lib/outbox', 'lib/retried', 'acts/retry'],
  remove: [...ACT, 'acts/delete'],
  operation: [...QUEUE, 'lib/row', 'lib/event', 'lib/operation'],
  operate: [
    ...ACT,
    'lib/retried',
    ...ACTS.map((name) => `acts/${name}`),
    'lib/operation',
    'lib/rank',
    'lib/match',
  ],
  matches: [...ARGS, 'lib/header', 'lib/row', 'lib/rank', 'lib/match'],
  load: LOOKS,
  ledger: LOOKS,
  explain: [...LOOKS, 'lib/header', 'lib/row', 'lib/event', 'lib/move', 'lib/push', 'lib/needs-of'],
  pause: QUEUE,
  order: [...QUEUE, ...OFFERS],
  follow: [...ROWS, 'lib/followed', 'lib/steps', 'lib/outbox'],
  relay: [...QUEUE, 'lib/entries'],
  marks: QUEUE,
  moving: ARGS,
  arrive: [...MOVES, 'lib/accept', 'lib/followed', 'lib/terms'],
  moved: [...MOVES, 'lib/log-chunks', ...REMOVE, 'lib/entries'],
} as const satisfies Record<string, readonly string[]>;

/** Scripts that have no file of their own: they differ from another one by their parts alone. */
const SAME_FILE: Readonly<Record<string, string>> = { hand: 'enqueue' };

/** A server that has not gone on with an operation for this long is taken for dead, and another one goes on. */
const OPERATED_WITHIN_MS = 2_000;

/** Scripts that Redis refuses at `maxmemory`: acknowledging must always work, accepting must not. */
const REFUSED_WHEN_FULL: ReadonlySet<string> = new Set([
  'enqueue',
  'hand',
  'wait',
  'rewait',
  'workflow-open',
  'batch-open',
  'report',
  'tick',
  'schedule',
  'retry',
  'arrive',
]);
export type ScriptName = keyof typeof SCRIPTS;

export interface ScriptSource {
  readonly lua: string;
  /** The names of all keys that the script may touch, behind the prefix of their place. It gets them in this order. */
  readonly keys: readonly string[];
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
  BATCH_ERROR: { name: 'BatchFailed', message: 'not all tasks of the batch have succeeded' },
  EXPIRED_ERROR: { name: 'Expired', message: 'it was not started before it expired' },
} satisfies Record<string, TaskError>;

type Named = readonly (readonly [name: string, lua: string])[];

/** How the text of a script mentions what it shares with others, or with TypeScript. */
const MENTION = /\bQ\.([A-Za-z_]+)/g;

/** Tables that TypeScript owns and scripts read, as Lua. */
const TABLES: Named = [
  ['LANES', luaList(LANES)],
  ['LANES_FROM', luaTable(LANES.map((lane) => [lane, luaList(LANES_FROM[lane])]))],
  ['COUNT_FIELDS', luaList(COUNT_FIELDS)],
];

/** Texts and numbers that TypeScript owns and scripts read, as Lua. */
const VALUES: Named = [
  // A text costs a call nothing until it is read.
  ['TRANSITIONS', `' ${movesOf(TRANSITIONS).join(' ')} '`],
  ['DEFAULT_LANE', `'${DEFAULT_LANE}'`],
  ['ROW_BYTES', String(ROW_BYTES)],
  ['VALUE_BYTES', String(VALUE_BYTES)],
  ['STAYS_FROM', String(STAYS_FROM_MS)],
  ['LINES_KEPT', String(LOG_LINES_KEPT)],
  ['LINES_A_CHUNK', String(LOG_LINES_A_CHUNK)],
  ['HAND_GRACE', String(HAND_GRACE_MS)],
  ['PROTOCOL', `'${PROTOCOL}'`],
  ['OPERATED_WITHIN_MS', String(OPERATED_WITHIN_MS)],
  ...Object.entries(ERRORS).map(([name, error]) => [name, luaBytes(encodeCbor(error))] as const),
];

/** Tables that the parts of a script fill. */
const FILLED = ['guards', 'outcomes', 'duties', 'acts'].map((name) => [name, '{}'] as const);

export type ScriptSources = Readonly<Record<ScriptName, ScriptSource>>;

/** The scripts without a patch, by `flags`. To build them takes longer than to connect, and all connections of a process have the same. */
const built = new Map<boolean, ScriptSources>();

/** Reads the `.lua` files beside this module and builds every script. */
export function buildScripts({ flags, patch }: ScriptBuild = { flags: true }): ScriptSources {
  if (patch) return joinScripts(flags, patch);
  const sources = built.get(flags) ?? joinScripts(flags, (clock) => clock);
  built.set(flags, sources);
  return sources;
}

function joinScripts(flags: boolean, patch: (clock: string) => string): ScriptSources {
  const texts = new Map<string, string>();
  const textOf = (part: string): string => {
    if (part === SHARE_OUT) {
      const parts = [...GUARDED, 'lib/holds', 'lib/hands', 'lib/share-out'];
      return `function Q.${SHARE_OUT}()\n${parts.map(textOf).join('\n')}\nend`;
    }
    const text = texts.get(part) ?? readFileSync(new URL(`lua/${part}.lua`, import.meta.url), 'utf8');
    texts.set(part, text);
    return part === 'lib/clock' ? patch(text) : text;
  };
  const sources = Object.entries(SCRIPTS).map(([name, parts]: [string, readonly string[]]) => {
    const header = flags ? `#!lua${REFUSED_WHEN_FULL.has(name) ? '' : ' flags=allow-oom'}\n` : '';
    const body = [...parts, SAME_FILE[name] ?? name].map(textOf).join('\n');
    const { lua, keys } = resolveNames(body);
    return [name, { lua: header + lua, keys }];
  });
  return Object.fromEntries(sources) as ScriptSources;
}

/**
 * A script whose text mentions `Q.<NAME>`. Single keys and values stand in its place, the tables that it mentions are made in `Q`,
 * and the keys are those that it has to declare for that. So no script touches a key that it has not declared, and none pays at
 * each call for a table that it does not use.
 */
function resolveNames(body: string): ScriptSource {
  const mentioned = new Set(Array.from(body.matchAll(MENTION), ([, name = '']) => name));
  const keys: string[] = [];
  const declare = (key: string): string => {
    if (!keys.includes(key)) keys.push(key);
    return `KEYS[${keys.indexOf(key) + 1}]`;
  };
  const inPlace = new Map(VALUES);
  for (const [name, key] of SCRIPT_KEYS) {
    if (mentioned.has(name)) inPlace.set(name, declare(key));
  }
  const entries = [...TABLES, ...FILLED].filter(([name]) => mentioned.has(name));
  for (const [name, fields] of SCRIPT_KEY_GROUPS) {
    if (!mentioned.has(name)) continue;
    const isList = fields[0]?.[0] === '1';
    const declared = fields.map(([field, key]) => [field, declare(key)] as const);
    entries.push([name, isList ? `{ ${declared.map(([, key]) => key).join(', ')} }` : luaTable(declared)]);
  }
  const resolved = body.replaceAll(MENTION, (mention, name: string) => inPlace.get(name) ?? mention);
  return { lua: `local Q = ${luaTable(entries)}\n${resolved}`, keys };
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

/** Each move that a table allows, as `<from>><to>`. */
function movesOf(table: Readonly<Record<string, readonly string[]>>): readonly string[] {
  return Object.entries(table).flatMap(([from, to]) => to.map((state) => `${from}>${state}`));
}

/** More arguments than this no call has, keys included: some services that speak the protocol of Redis take no more. */
export const MOST_ARGUMENTS = 3_999;

/** The scripts of each connection. */
const defined = new WeakMap<Redis, ReadonlyMap<ScriptName, CallableScript>>();

/** What is told how long the calls of a connection take. */
const watched = new WeakMap<Redis, (script: ScriptName, ms: number) => void>();

/** Has a function called with each script that was run over a connection, and the milliseconds until its reply, or its failure. */
export function watchScripts(client: Redis, watch: (script: ScriptName, ms: number) => void): void {
  watched.set(client, watch);
}

/** What calls the scripts of one build, whichever connections have them. */
const callable = new WeakMap<ScriptSources, ReadonlyMap<ScriptName, CallableScript>>();

/** Makes the scripts known to a connection; a later call replaces them. */
export function defineScripts(client: Redis, sources: ScriptSources): void {
  const entries = Object.entries(sources) as [ScriptName, ScriptSource][];
  const scripts =
    callable.get(sources) ??
    new Map(entries.map(([name, { lua, keys }]) => [name, new CallableScript(lua, keys)] as const));
  callable.set(sources, scripts);
  defined.set(client, scripts);
}

/**
 * Runs one script. Every reply text comes as a Buffer, because results and messages are bytes.
 * @param onWritten called with the socket that the call goes over, once more when it is sent again
 * @throws TypeError when a call has more than `MOST_ARGUMENTS`
 */
export function runScript(
  client: Redis,
  name: ScriptName,
  place: Place,
  args: readonly ScriptArgument[],
  onWritten?: (socket: object) => void,
): Promise<unknown> {
  const script = defined.get(client)?.get(name);
  if (!script) throw new TypeError(`script ${name} is not defined on this connection`);
  if (script.keys.length + args.length > MOST_ARGUMENTS) {
    throw new TypeError(
      `a call of ${name} has ${args.length} arguments, which is more than one call may have`,
    );
  }
  const watch = watched.get(client);
  if (!watch) return callScript(client, script, prefixOf(place), args, onWritten);
  const begunAt = performance.now();
  return callScript(client, script, prefixOf(place), args, onWritten).finally(() =>
    watch(name, performance.now() - begunAt),
  );
}
