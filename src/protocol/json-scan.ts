// Counts the depth and the values of a JSON text (RFC 8259) before it is parsed: a byte costs about a nanosecond, far less
// than an object. Only `JSON.parse` checks whether the text is valid.

import { DEFAULT_SCAN_LIMITS, type ScanLimits } from './cbor-scan.ts';

/** The text is over a limit; `message` says which, as a fault of `readPlain` would. */
export class JsonFault extends Error {
  constructor(what: string) {
    super(what);
    this.name = 'JsonFault';
  }
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const ARRAY_OPEN = 0x5b;
const ARRAY_CLOSE = 0x5d;
const OBJECT_OPEN = 0x7b;
const OBJECT_CLOSE = 0x7d;

/**
 * Walks one JSON value and returns the offset behind it. In an invalid text that is some offset, and `JSON.parse` refuses the
 * bytes up to there.
 * @param start offset of the first byte of the value, behind white space
 * @param limits `nodes` counts values and keys
 * @throws JsonFault when the value is over the limits
 */
export function scanJson(bytes: Uint8Array, start = 0, limits: ScanLimits = DEFAULT_SCAN_LIMITS): number {
  let depth = 0;
  let nodes = 0;
  let at = start;
  while (at < bytes.length) {
    const byte = bytes[at] as number;
    if (byte === COMMA || byte === COLON || isJsonSpace(byte)) {
      // A value is missing.
      if (depth === 0 && byte === COMMA) return at;
      at += 1;
      continue;
    }
    if (byte === ARRAY_CLOSE || byte === OBJECT_CLOSE) {
      if (depth === 0) return at;
      depth -= 1;
      at += 1;
    } else {
      nodes += 1;
      if (nodes > limits.nodes) throw new JsonFault(`has more than ${limits.nodes} values`);
      if (byte === ARRAY_OPEN || byte === OBJECT_OPEN) {
        if (depth >= limits.depth) throw new JsonFault(`is nested deeper than ${limits.depth} levels`);
        depth += 1;
        at += 1;
        continue;
      }
      at = byte === QUOTE ? stringEnd(bytes, at) : wordEnd(bytes, at);
    }
    if (depth === 0) return at;
  }
  return at;
}

/** Without the byte order mark that some programs write in front of a text; readers may ignore it (RFC 8259, section 8.1). */
export function withoutByteOrderMark(bytes: Uint8Array): Uint8Array {
  const hasMark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  return hasMark ? bytes.subarray(3) : bytes;
}

/** The offset of the first byte from `at` on that is no white space of JSON (RFC 8259, section 2). */
export function skipJsonSpace(bytes: Uint8Array, at: number): number {
  let next = at;
  while (next < bytes.length && isJsonSpace(bytes[next] as number)) next += 1;
  return next;
}

function isJsonSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

/** @param open offset of the opening quote @returns the offset behind the closing one */
function stringEnd(bytes: Uint8Array, open: number): number {
  let at = open + 1;
  while (at < bytes.length) {
    const byte = bytes[at];
    if (byte === QUOTE) return at + 1;
    at += byte === BACKSLASH ? 2 : 1;
  }
  return bytes.length;
}

/** The end of a number, `true`, `false` or `null`: the first character that none of them has. */
function wordEnd(bytes: Uint8Array, start: number): number {
  let at = start + 1;
  while (at < bytes.length) {
    const byte = bytes[at] as number;
    const isOver =
      byte === COMMA ||
      byte === COLON ||
      byte === QUOTE ||
      byte === ARRAY_OPEN ||
      byte === ARRAY_CLOSE ||
      byte === OBJECT_OPEN ||
      byte === OBJECT_CLOSE ||
      isJsonSpace(byte);
    if (isOver) break;
    at += 1;
  }
  return at;
}
