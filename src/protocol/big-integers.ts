// Finds integers in JSON text that a number of JavaScript cannot hold: parsing changes their value.

import { toPointer } from './pointer.ts';

export const BIG_INTEGER_FAULT = 'is an integer beyond ±(2^53 − 1): send it as text';

/** A number with a fraction or an exponent is a double, and is rounded to one (RFC 8259, section 6). */
const INTEGER = /^-?\d+$/;
/** Digits of the largest safe integer, and of 2^53. */
const SAFE_DIGITS = 16;

/** An array or an object around the scan position. */
interface Level {
  /** Index of the item; -1 in an object. */
  index: number;
  /** Where the current key of an object begins, at its quote; `undefined` = the next text is a key. */
  key: number | undefined;
}

/**
 * The JSON Pointer of the first integer beyond ±(2^53 − 1); `undefined` when there is none. It scans the whole text:
 * call it only when `readPlain` has met a number beyond these bounds.
 * @param json text that `JSON.parse` has accepted
 */
export function findBigInteger(json: string): string | undefined {
  const levels: Level[] = [];
  let level: Level = { index: -1, key: 0 };
  for (let at = 0; at < json.length; at += 1) {
    const mark = json.charAt(at);
    switch (mark) {
      case '[':
      case '{':
        levels.push(level);
        level = mark === '[' ? { index: 0, key: 0 } : { index: -1, key: undefined };
        break;
      case ']':
      case '}':
        level = levels.pop() ?? level;
        break;
      case ',':
        if (level.index >= 0) level.index += 1;
        else level.key = undefined;
        break;
      case '"':
        level.key ??= at;
        at = endOfText(json, at);
        break;
      default: {
        const end = endOfNumber(json, at);
        if (end - at >= SAFE_DIGITS && isBigInteger(json.slice(at, end))) {
          // The outermost bracket ends the whole value.
          return toPointer([...levels, level].slice(1).map((one) => placeOf(json, one)));
        }
        if (end > at) at = end - 1;
      }
    }
  }
  return undefined;
}

function isBigInteger(number: string): boolean {
  return INTEGER.test(number) && !Number.isSafeInteger(Number(number));
}

/** The offset behind the number that begins at `at`; `at` itself when none does. */
function endOfNumber(json: string, at: number): number {
  let end = at;
  while (isOfNumber(json.charCodeAt(end), end === at)) end += 1;
  return end;
}

/** Whether a character is a digit or `-`, or, behind the first one, `+`, `.`, `e` or `E`. */
function isOfNumber(code: number, isFirst: boolean): boolean {
  if ((code >= 0x30 && code <= 0x39) || code === 0x2d) return true;
  return !isFirst && (code === 0x2b || code === 0x2e || code === 0x65 || code === 0x45);
}

/** The closing quote of the text that begins at the quote `start`: the next one with an even number of backslashes before it. */
function endOfText(json: string, start: number): number {
  for (let end = json.indexOf('"', start + 1); end >= 0; end = json.indexOf('"', end + 1)) {
    let escapes = 0;
    while (json[end - 1 - escapes] === '\\') escapes += 1;
    if (escapes % 2 === 0) return end;
  }
  return json.length;
}

function placeOf(json: string, { index, key = 0 }: Level): string | number {
  if (index >= 0) return index;
  return JSON.parse(json.slice(key, endOfText(json, key) + 1)) as string;
}
