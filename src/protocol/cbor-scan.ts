// Checks untrusted CBOR bytes (RFC 8949) before any decoder sees them: well formed, plain types, bounded depth and size.
// The decoder alone would build dates, sets and regular expressions for a hostile sender, and has no depth limit.

import { isUtf8 } from 'node:buffer';

export interface ScanLimits {
  /** Nested arrays and maps. */
  readonly depth: number;
  /** Items in all, keys included. */
  readonly nodes: number;
}

export const DEFAULT_SCAN_LIMITS: ScanLimits = { depth: 64, nodes: 100_000 };

/** Keys that change an object's prototype when a careless program merges the value. */
export const FORBIDDEN_KEYS: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

/** The bytes are no plain CBOR; `message` says what is wrong and at which byte. */
export class CborFault extends Error {
  constructor(what: string, offset: number) {
    super(`${what} at byte ${offset}`);
    this.name = 'CborFault';
  }
}

/** The bytes are valid but end within an item: more bytes may complete it. */
export class CborEndsEarly extends CborFault {
  constructor(offset: number) {
    super('the bytes end too early', offset);
  }
}

export const BREAK = 0xff;
const UNDEFINED = 0xf7;
export const INDEFINITE = -1;

interface Container {
  /** Items still to come, or INDEFINITE until a break. A map counts keys and values. */
  left: number;
  readonly map: boolean;
  key: boolean;
}

/**
 * Walks one CBOR item and returns the offset behind it.
 *
 * Plain is what plain-value.ts says: integers within ±(2^53 − 1), finite floats, text in UTF-8, byte strings, arrays, maps
 * with text keys, booleans, null, and undefined but not as an item of an array. Tags, other simple values and keys that
 * reach a prototype are refused.
 *
 * @throws CborFault when the bytes are not plain, not complete, too deep or too many.
 */
export function scanCbor(bytes: Uint8Array, start = 0, limits: ScanLimits = DEFAULT_SCAN_LIMITS): number {
  const stack: Container[] = [];
  let at = start;
  let nodes = 0;
  do {
    const top = stack.at(-1);
    if (top && bytes[at] === BREAK && top.left === INDEFINITE) {
      if (top.map && !top.key) throw new CborFault('a map key without a value', at);
      at += 1;
      stack.pop();
      closeFull(stack);
      continue;
    }
    if (++nodes > limits.nodes) throw new CborFault(`more than ${limits.nodes} items`, at);
    const isKey = top?.map === true && top.key;
    const head = readHead(bytes, at);
    if (isKey && head.major !== 3) throw new CborFault('a map key that is not text', at);
    // JSON would turn it into null.
    if (top?.map === false && bytes[at] === UNDEFINED) throw new CborFault('undefined in an array', at);
    const opened = openContainer(head, at);
    if (opened) {
      countItem(top);
      if (stack.length >= limits.depth) throw new CborFault(`nesting deeper than ${limits.depth} levels`, at);
      stack.push(opened);
      at = head.next;
    } else {
      const next = skipScalar(bytes, head, at);
      if (isKey && FORBIDDEN_KEYS.has(textOf(bytes, head.next, next))) {
        throw new CborFault('a map key that is not allowed (__proto__, constructor, prototype)', at);
      }
      at = next;
      countItem(top);
    }
    closeFull(stack);
  } while (stack.length > 0);
  return at;
}

interface Head {
  readonly major: number;
  readonly info: number;
  /** The argument, or INDEFINITE. */
  readonly argument: number;
  readonly next: number;
}

/** Reads the head of one item. @throws CborFault */
export function readHead(bytes: Uint8Array, at: number): Head {
  const first = bytes[at];
  if (first === undefined) throw new CborEndsEarly(at);
  const major = first >> 5;
  const info = first & 0x1f;
  if (info < 24) return { major, info, argument: info, next: at + 1 };
  if (info === 31) return { major, info, argument: INDEFINITE, next: at + 1 };
  if (info > 27) throw new CborFault('a reserved length', at);
  const width = 1 << (info - 24);
  if (at + 1 + width > bytes.length) throw new CborEndsEarly(at);
  let argument = 0;
  for (let i = 1; i <= width; i += 1) argument = argument * 256 + (bytes[at + i] ?? 0);
  return { major, info, argument, next: at + 1 + width };
}

function openContainer(head: Head, at: number): Container | undefined {
  if (head.major !== 4 && head.major !== 5) return undefined;
  const map = head.major === 5;
  if (head.argument > Number.MAX_SAFE_INTEGER / 2) throw new CborFault('a length beyond all bounds', at);
  const left = head.argument === INDEFINITE ? INDEFINITE : map ? head.argument * 2 : head.argument;
  return { left, map, key: map };
}

function skipScalar(bytes: Uint8Array, head: Head, at: number): number {
  switch (head.major) {
    case 0:
    case 1:
      if (head.argument === INDEFINITE) throw new CborFault('a reserved length', at);
      // A negative integer is −1 − argument.
      if (head.argument + head.major > Number.MAX_SAFE_INTEGER)
        throw new CborFault('an integer beyond ±(2^53 − 1)', at);
      return head.next;
    case 2:
    case 3:
      if (head.argument === INDEFINITE) throw new CborFault('a string in chunks (send it in one piece)', at);
      if (head.next + head.argument > bytes.length) throw new CborEndsEarly(at);
      if (head.major === 3 && !isText(bytes, head.next, head.next + head.argument))
        throw new CborFault('text that is not UTF-8', at);
      return head.next + head.argument;
    case 6:
      throw new CborFault('a tag (only plain values are accepted)', at);
    default:
      return skipSimple(bytes, head, at);
  }
}

/** Major type 7: false, true, null, undefined and the three widths of floats. */
function skipSimple(bytes: Uint8Array, head: Head, at: number): number {
  const plain = (head.info >= 20 && head.info <= 23) || (head.info >= 25 && head.info <= 27);
  if (!plain) throw new CborFault('a simple value that is not plain', at);
  if (head.info >= 25 && !isFinite(bytes, head.info, at + 1))
    throw new CborFault('a float that is infinite or no number', at);
  return head.next;
}

/** Whether not all bits of the exponent are set (IEEE 754): they are 5, 8 or 11 behind the sign. */
function isFinite(bytes: Uint8Array, info: number, at: number): boolean {
  const [first = 0, second = 0] = [bytes[at], bytes[at + 1]];
  if (info === 25) return (first & 0x7c) !== 0x7c;
  if ((first & 0x7f) !== 0x7f) return true;
  return info === 26 ? (second & 0x80) !== 0x80 : (second & 0xf0) !== 0xf0;
}

/** Up to this many bytes, checking each in JavaScript is faster than a call of native code. */
const SHORT_TEXT = 32;

function isText(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start <= SHORT_TEXT) {
    let at = start;
    while (at < end && (bytes[at] as number) < 0x80) at += 1;
    if (at === end) return true;
  }
  return isUtf8(bytes.subarray(start, end));
}

function countItem(container: Container | undefined): void {
  if (!container) return;
  if (container.left !== INDEFINITE) container.left -= 1;
  if (container.map) container.key = !container.key;
}

function closeFull(stack: Container[]): void {
  while (stack.at(-1)?.left === 0) stack.pop();
}

export function textOf(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('utf8');
}
