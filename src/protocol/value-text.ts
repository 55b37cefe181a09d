// Describes any value by a short JSON text: bounded in depth, members and characters, and safe for getters that throw, proxies
// and cycles. For values that a handler threw, which may be anything.

import { types } from 'node:util';

/** Most levels, members of one object or array, values in all, and characters of one text that are shown. */
const MOST_LEVELS = 4;
const MOST_MEMBERS = 20;
const MOST_VALUES = 200;
const TEXT_CHARS = 256;

const LONE_SURROGATES = /\p{Surrogate}/gu;

/** Reads a property; a getter or a proxy that throws counts as `undefined`. */
export function readProperty(from: object, name: string): unknown {
  try {
    return (from as Record<string, unknown>)[name];
  } catch {
    return undefined;
  }
}

/** True for errors of this and of any other realm (vm, jsdom), and for any object with the message and stack of one. */
export function isErrorLike(value: unknown): value is Error {
  if (typeof value !== 'object' || value === null) return false;
  try {
    if (types.isNativeError(value) || value instanceof Error) return true;
  } catch {
    // A proxy whose traps throw.
  }
  return (
    typeof readProperty(value, 'message') === 'string' && typeof readProperty(value, 'stack') === 'string'
  );
}

/** The first characters of a text, without halves of a character: those have no form in UTF-8. */
export function cutText(text: string, chars: number): string {
  const cut = text.length <= chars ? text : `${text.slice(0, Math.max(0, chars - 1))}…`;
  return cut.replaceAll(LONE_SURROGATES, '\uFFFD');
}

/**
 * A short form of the JSON of a value. A text, or a value that JSON turns into a text, has no quotes.
 * @param without members of the value itself that are left out
 * @returns `undefined` when its JSON is empty (a function, an object without members)
 */
export function valueText(value: unknown, without: ReadonlySet<string> = new Set()): string | undefined {
  const sketch = sketchOf(value, without, { left: MOST_VALUES }, 0);
  if (typeof sketch === 'string') return sketch;
  const text = JSON.stringify(sketch) as string | undefined;
  return text === '{}' || text === '[]' ? undefined : text;
}

function sketchOf(
  value: unknown,
  without: ReadonlySet<string>,
  budget: { left: number },
  level: number,
): unknown {
  budget.left -= 1;
  if (typeof value === 'string') return cutText(value, TEXT_CHARS);
  if (typeof value === 'boolean' || Number.isFinite(value)) return value;
  if (typeof value === 'number' || typeof value === 'bigint') return cutText(String(value), TEXT_CHARS);
  if (typeof value !== 'object') return undefined;
  if (value === null) return null;
  if (level >= MOST_LEVELS || budget.left <= 0) return '…';
  if (ArrayBuffer.isView(value)) return `${value.byteLength} bytes`;
  if (isErrorLike(value)) {
    const [name, message] = [readProperty(value, 'name'), readProperty(value, 'message')];
    return cutText(`${typeof name === 'string' ? name : 'Error'}: ${String(message)}`, TEXT_CHARS);
  }
  const toJson = readProperty(value, 'toJSON');
  if (typeof toJson === 'function') return sketchOf(toJson.call(value), without, budget, level + 1);
  const none = new Set<string>();
  if (Array.isArray(value)) {
    return value.slice(0, MOST_MEMBERS).map((item) => sketchOf(item, none, budget, level + 1));
  }
  const names = Object.keys(value).filter((name) => !without.has(name));
  return Object.fromEntries(
    names
      .slice(0, MOST_MEMBERS)
      .map((name) => [
        cutText(name, TEXT_CHARS),
        sketchOf(readProperty(value, name), none, budget, level + 1),
      ]),
  );
}
