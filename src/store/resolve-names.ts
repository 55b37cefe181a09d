// Puts keys and values in place of the names by which the text of a script mentions them.

import { encodeCbor } from '../protocol/cbor.ts';
import { MOST_VERSIONS } from '../protocol/fingerprint.ts';
import { DEFAULT_LANE, LANES, LANES_FROM } from '../protocol/lane.ts';
import type { TaskError } from '../protocol/task-error.ts';
import { TRANSITIONS } from '../protocol/task-state.ts';
import { HAND_GRACE_MS } from './hand-grace.ts';
import { SCRIPT_KEY_GROUPS, SCRIPT_KEYS } from './keys.ts';
import { PROTOCOL } from './protocol-number.ts';
import { LOG_LINES_A_CHUNK, LOG_LINES_KEPT, ROW_BYTES, VALUE_BYTES } from './record.ts';
import { COUNT_FIELDS, STAYS_FROM_MS } from './totals.ts';

export interface ScriptSource {
  readonly lua: string;
  /** The names of all keys that the script may touch, behind the prefix of their place. It gets them in this order. */
  readonly keys: readonly string[];
}

/** A server that has not gone on with an operation for this long is taken for dead, and another one goes on. */
const OPERATED_WITHIN_MS = 2_000;

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

/** How it names a number or a word that never changes: in a line of its own. */
const CONSTANT = /^Q\.([A-Z_]+) = ([\d.]+|'\w*')$/gm;

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
  ['MOST_VERSIONS', String(MOST_VERSIONS)],
  ['PROTOCOL', `'${PROTOCOL}'`],
  ['OPERATED_WITHIN_MS', String(OPERATED_WITHIN_MS)],
  ...Object.entries(ERRORS).map(([name, error]) => [name, luaBytes(encodeCbor(error))] as const),
];

/** Tables that the parts of a script fill. */
const FILLED = ['guards', 'outcomes', 'duties', 'acts'].map((name) => [name, '{}'] as const);

/**
 * A script whose text mentions `Q.<NAME>`. Single keys and values stand in its place, the tables that it mentions are made in `Q`,
 * and the keys are those that it has to declare for that. So no script touches a key that it has not declared, and none pays at
 * each call for a table that it does not use.
 * @param header what stands before all
 */
export function resolveNames(header: string, text: string): ScriptSource {
  const inPlace = new Map(VALUES);
  const body = text.replaceAll(CONSTANT, (_, name: string, value: string) => {
    inPlace.set(name, value);
    return '';
  });
  const mentioned = new Set(Array.from(body.matchAll(MENTION), ([, name = '']) => name));
  const keys: string[] = [];
  const declare = (key: string): string => {
    if (!keys.includes(key)) keys.push(key);
    return `KEYS[${keys.indexOf(key) + 1}]`;
  };
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
  // Lua makes a table as large as its constructor is long: one that grew with its functions would be copied again and again.
  const made = new Set(Array.from(resolved.matchAll(MENTION), ([, name = '']) => name));
  for (const [name] of entries) made.delete(name);
  const room = Array.from(made, () => ['_', '0'] as const);
  return { lua: `${header}local Q = ${luaTable([...entries, ...room])}\n${resolved}`, keys };
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
