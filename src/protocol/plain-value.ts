// The one definition of plain data: values that JSON and CBOR both carry without a change.
//
// Plain are null, true, false, text, finite numbers, byte strings, arrays, objects of these, and `undefined` as a whole value
// or as a member (in JSON the member is then absent). All data that comes in has to be plain already. Results of handlers are
// made plain first, as far as JSON does it without a loss: docs/protocol.md, "Plain data".

import { types } from 'node:util';
import { DEFAULT_SCAN_LIMITS, FORBIDDEN_KEYS, type ScanLimits } from './cbor-scan.ts';
import type { FieldFault } from './errors.ts';
import { LAST_INSTANT_MS } from './instant.ts';
import { toPointer } from './pointer.ts';

/** A copy that shares no object with the given value, byte strings excepted; or where the value is not plain, and why. */
export type Plain =
  | {
      readonly value: unknown;
      /** A number is beyond ±(2^53 − 1): if it was an integer in JSON text, parsing has changed it. */
      readonly hasLarge: boolean;
    }
  | { readonly fault: FieldFault };

/** Half of a character has no form in UTF-8, so none in CBOR: other libraries refuse the bytes that cbor-x writes for it. */
const LONE_SURROGATE = /\p{Surrogate}/u;
const LONE_SURROGATE_FAULT = 'is text with half of a character (a lone surrogate)';

/** Advice for the values that are most often given in error. */
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
 * Reads a value that has to be plain: parsed JSON, or a value that a program gives to the library. Each part is read once.
 * Nothing is converted, because the schema of the task, and its handler, shall get the value as the caller gave it.
 */
export function readPlain(value: unknown, limits: ScanLimits = DEFAULT_SCAN_LIMITS): Plain {
  return new Walk(limits, false).start(value);
}

/**
 * Makes the value of a handler plain, as `JSON.stringify` would: a value with a `toJSON` method (a Date, a URL, a Decimal)
 * becomes its result, an instance of a class without one becomes its own enumerable members. A value that JSON would drop,
 * or turn into another one, is a fault.
 */
export function toPlain(value: unknown, limits: ScanLimits = DEFAULT_SCAN_LIMITS): Plain {
  return new Walk(limits, true).start(value);
}

/** A fault as the end of a sentence: `#/at is a Map`. @param whole name of the value, when all of it is at fault */
export function faultText({ pointer, detail }: FieldFault, whole: string): string {
  return `${pointer === '#' ? whole : pointer} ${detail}`;
}

/** Thrown to end a walk. Not an Error, whose stack would cost more than the walk. */
class Refusal {
  readonly fault: FieldFault;

  constructor(fault: FieldFault) {
    this.fault = fault;
  }
}

/** One walk through a value. Its depth is bounded, so recursion is safe. */
class Walk {
  readonly #limits: ScanLimits;
  /** Whether values are made plain; else they have to be. */
  readonly #converts: boolean;
  #nodes = 0;
  #hasLarge = false;
  /** Position of the walk: the key at each level, and the number of levels. */
  readonly #path: (string | number)[] = [];
  #level = 0;
  /** The arrays and objects around the position. */
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
        // Some programs add `toJSON` to BigInt.
        return this.#visitObject(value as unknown as object, level);
      case 'function':
      case 'symbol':
        return this.#refuse(`is a ${typeof value}`);
    }
  }

  #visitObject(value: object, level: number): unknown {
    // Before `toJSON`: that of a Buffer would make an array of it.
    if (types.isUint8Array(value)) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    if (!this.#converts) return this.#visitContainer(value, level);
    if (types.isDate(value)) this.#checkDate(value);
    const { toJSON } = value as { readonly toJSON?: unknown };
    if (typeof toJSON !== 'function') return this.#visitContainer(value, level);
    const json: unknown = toJSON.call(value, String(this.#path[level - 1] ?? ''));
    // As in JSON, a `toJSON` of the result is not called.
    const isContainer = typeof json === 'object' && json !== null && !types.isUint8Array(json);
    return isContainer ? this.#visitContainer(json, level) : this.#visit(json, level);
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
      // JSON would turn it into null.
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

  /** The own enumerable text keys, which JSON writes. */
  #membersOf(value: object): readonly string[] {
    const prototype: unknown = Object.getPrototypeOf(value);
    // The prototype of an object literal, of any realm, has no prototype itself.
    const isLiteral = prototype === null || Object.getPrototypeOf(prototype) === null;
    if (isLiteral) return Object.keys(value);
    const kind = kindOf(value);
    // A Map, an Error or a RegExp keeps its data outside of its members, as a class may do: its JSON would be empty.
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
