// The one definition of plain data: what JSON and CBOR both carry, and what comes out of both as it went in.
//
// Plain are null, true, false, text, finite numbers, byte strings, arrays, objects of these, and `undefined` as a whole value
// or as a member (in JSON the member is then absent). Everything that comes in has to be plain already. What a handler hands
// out is made plain first, as far as JSON does it without a loss: docs/protocol.md, "Plain data".

import { types } from 'node:util';
import { DEFAULT_SCAN_LIMITS, FORBIDDEN_KEYS, type ScanLimits } from './cbor-scan.ts';
import type { FieldFault } from './errors.ts';
import { LAST_INSTANT_MS } from './instant.ts';
import { toPointer } from './pointer.ts';

/** A copy that shares no object with what was given, byte strings excepted; or where it is not plain, and why. */
export type Plain =
  | {
      readonly value: unknown;
      /** Some number is beyond ±(2^53 − 1): as an integer in JSON text it was another one. */
      readonly hasLarge: boolean;
    }
  | { readonly fault: FieldFault };

/** Half of a character has no form in UTF-8, so none in CBOR: other libraries refuse what would be written for it. */
const LONE_SURROGATE = /\p{Surrogate}/u;
const LONE_SURROGATE_FAULT = 'is text with half of a character (a lone surrogate)';

/** What to give instead of the values that people give most often. */
const INSTEAD: Readonly<Record<string, string>> = {
  BigInt: 'its text',
  Date: 'its toISOString()',
  Error: 'its message',
  Map: 'Object.fromEntries(map)',
  Promise: 'what it resolves to, with await',
  Set: 'Array.from(set)',
};

const YEAR_0_MS = Date.UTC(-1, 11, 31) + 86_400_000;
const READ_FAULT_CHARS = 200;

/**
 * Reads a value that has to be plain: parsed JSON, or what a program gives to the library. Each part is read once.
 * Nothing is converted, because the schema of the task, and its handler, shall see what the caller gave.
 */
export function readPlain(value: unknown, limits: ScanLimits = DEFAULT_SCAN_LIMITS): Plain {
  return new Walk(limits, false).start(value);
}

/**
 * Makes a plain value of what a handler hands out, as `JSON.stringify` would: what has a `toJSON` method (a Date, a URL, a
 * Decimal) becomes what that answers, an instance of a class without one becomes its own enumerable members. What JSON
 * would drop, or turn into something else, is a fault.
 */
export function toPlain(value: unknown, limits: ScanLimits = DEFAULT_SCAN_LIMITS): Plain {
  return new Walk(limits, true).start(value);
}

/** A fault as the end of a sentence: `#/at is a Map`. @param whole what the value is, when all of it is at fault */
export function faultText({ pointer, detail }: FieldFault, whole: string): string {
  return `${pointer === '#' ? whole : pointer} ${detail}`;
}

/** Ends a walk. No Error: its stack would cost more than the walk. */
class Refusal {
  readonly fault: FieldFault;

  constructor(fault: FieldFault) {
    this.fault = fault;
  }
}

/** One way through a value. Its depth is bounded, so recursion is safe. */
class Walk {
  readonly #limits: ScanLimits;
  /** Whether values are made plain, or have to be. */
  readonly #converts: boolean;
  #nodes = 0;
  #hasLarge = false;
  /** Where it is: the key at each level, and how many levels that are. */
  readonly #path: (string | number)[] = [];
  #level = 0;
  /** The arrays and objects it is in. */
  readonly #above: object[] = [];

  constructor(limits: ScanLimits, converts: boolean) {
    this.#limits = limits;
    this.#converts = converts;
  }

  start(value: unknown): Plain {
    try {
      const copy = this.#visit(value, 0);
      return { value: copy, hasLarge: this.#hasLarge };
    } catch (thrown) {
      if (thrown instanceof Refusal) return { fault: thrown.fault };
      // A getter, a `toJSON` or a proxy of the program has thrown.
      const reason = thrown instanceof Error ? thrown.message : typeof thrown;
      return { fault: this.#fault(`cannot be read: ${String(reason).slice(0, READ_FAULT_CHARS)}`) };
    }
  }

  #visit(value: unknown, level: number): unknown {
    this.#level = level;
    this.#count();
    switch (typeof value) {
      case 'string':
        if (LONE_SURROGATE.test(value)) this.#refuse(LONE_SURROGATE_FAULT);
        return value;
      case 'number':
        if (value > Number.MAX_SAFE_INTEGER || value < -Number.MAX_SAFE_INTEGER) this.#hasLarge = true;
        if (!Number.isFinite(value))
          this.#refuse(`is ${value}: a number beyond the range of a double, or none`);
        // JSON and CBOR write −0 as 0.
        return value === 0 ? 0 : value;
      case 'boolean':
      case 'undefined':
        return value;
      case 'object':
        return value === null ? null : this.#visitObject(value, level);
      case 'bigint':
        // Some programs give it a `toJSON`.
        return this.#visitObject(value as unknown as object, level);
      case 'function':
      case 'symbol':
        return this.#refuse(`is a ${typeof value}`);
    }
  }

  #visitObject(value: object, level: number): unknown {
    // In front of `toJSON`: a Buffer has one, which makes an array of it.
    if (types.isUint8Array(value)) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    if (!this.#converts) return this.#visitContainer(value, level);
    if (types.isDate(value)) this.#checkDate(value);
    const { toJSON } = value as { readonly toJSON?: unknown };
    if (typeof toJSON !== 'function') return this.#visitContainer(value, level);
    const told: unknown = toJSON.call(value, String(this.#path[level - 1] ?? ''));
    // As JSON does it: what `toJSON` answers is not asked again.
    const isContainer = typeof told === 'object' && told !== null && !types.isUint8Array(told);
    return isContainer ? this.#visitContainer(told, level) : this.#visit(told, level);
  }

  #checkDate(date: Date): void {
    const ms = Date.prototype.getTime.call(date);
    if (Number.isNaN(ms)) this.#refuse('is an invalid Date');
    // RFC 3339 has four digits for the year.
    if (ms < YEAR_0_MS || ms > LAST_INSTANT_MS) this.#refuse('is a Date outside of the years 0 to 9999');
  }

  #visitContainer(value: object, level: number): unknown {
    if (level >= this.#limits.depth) this.#refuse(`is nested deeper than ${this.#limits.depth} levels`);
    for (let at = 0; at < level; at += 1) {
      if (this.#above[at] === value) this.#refuse('is a cycle: it is one of those that it stands in');
    }
    this.#above[level] = value;
    return Array.isArray(value) ? this.#visitArray(value, level) : this.#visitMembers(value, level);
  }

  #visitArray(array: readonly unknown[], level: number): unknown[] {
    const copy: unknown[] = [];
    for (let at = 0; at < array.length; at += 1) {
      this.#path[level] = at;
      this.#level = level + 1;
      const item = this.#visit(array[at], level + 1);
      this.#level = level + 1;
      // JSON would make null of it.
      if (item === undefined) this.#refuse('is undefined, which an array cannot hold (give null)');
      copy.push(item);
    }
    return copy;
  }

  #visitMembers(value: object, level: number): Record<string, unknown> {
    const keys = this.#membersOf(value);
    const copy: Record<string, unknown> = {};
    for (const key of keys) {
      this.#path[level] = key;
      this.#level = level + 1;
      this.#count();
      if (FORBIDDEN_KEYS.has(key)) this.#refuse('is a key that is not allowed');
      if (LONE_SURROGATE.test(key)) this.#refuse('is a key with half of a character (a lone surrogate)');
      copy[key] = this.#visit((value as Record<string, unknown>)[key], level + 1);
    }
    return copy;
  }

  /** Own enumerable text keys: what JSON publishes. */
  #membersOf(value: object): readonly string[] {
    const prototype: unknown = Object.getPrototypeOf(value);
    // An object literal, of whichever realm, has a prototype that has none.
    const isLiteral = prototype === null || Object.getPrototypeOf(prototype) === null;
    if (isLiteral) return Object.keys(value);
    const kind = kindOf(value);
    // A Map, an Error or a RegExp keeps what it has elsewhere, and a class may do so too: nothing of it would be left.
    const keys = this.#converts && kind === 'Object' ? Object.keys(value) : [];
    if (keys.length > 0) return keys;
    const instead = INSTEAD[kind];
    const name = kind === 'Object' ? `an instance of ${classOf(value)}` : withArticle(kind);
    return this.#refuse(instead === undefined ? `is ${name}` : `is ${name} (give ${instead})`);
  }

  #count(): void {
    this.#nodes += 1;
    if (this.#nodes <= this.#limits.nodes) return;
    this.#level = 0;
    this.#refuse(`has more than ${this.#limits.nodes} values`);
  }

  #refuse(detail: string): never {
    throw new Refusal(this.#fault(detail));
  }

  #fault(detail: string): FieldFault {
    return { pointer: toPointer(this.#path.slice(0, this.#level)), detail };
  }
}

/** `Map`, `Date`, `Error`, `URLSearchParams` …; `Object` for nearly every class of a program. */
function kindOf(value: object): string {
  return Object.prototype.toString.call(value).slice('[object '.length, -1);
}

function classOf(value: object): string {
  const { constructor } = value as { readonly constructor?: unknown };
  return typeof constructor === 'function' && constructor.name !== '' ? constructor.name : 'a class';
}

function withArticle(kind: string): string {
  return /^[AEIO]/.test(kind) ? `an ${kind}` : `a ${kind}`;
}
