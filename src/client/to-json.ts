// The JSON of what a caller gives. What JSON would drop, or turn into something else, is refused, as server and library refuse it.

import { ApiError } from './api-error.ts';

/** A pointer is for people: what stands deeper is found by its beginning. */
const KEYS_SHOWN = 64;

/**
 * Members that are `undefined` are left out, and what has a `toJSON` method (a Date, a URL) is what that answers.
 * @throws ApiError `invalid-input` that names the place
 */
export function toJson(value: unknown): string {
  const path: string[] = [];
  try {
    check(value, path, []);
    return JSON.stringify(value);
  } catch (error) {
    if (error instanceof ApiError) throw error;
    // A getter or a `toJSON` of the caller has thrown, or it is nested so deeply that nothing can walk through it.
    const reason = error instanceof Error ? error.message : String(error);
    return refuse(path, `cannot be written as JSON: ${reason}`, error);
  }
}

/**
 * @param path keys that lead to the value, from the outermost on
 * @param above the objects and arrays around it
 * @returns whether JSON has anything of it: of `undefined` it has nothing
 */
function check(given: unknown, path: string[], above: object[]): boolean {
  const value = answered(given, path);
  switch (typeof value) {
    case 'undefined':
      return false;
    case 'number':
      if (!Number.isFinite(value)) lost(path, `is ${value}`);
      return true;
    case 'bigint':
    case 'function':
    case 'symbol':
      return lost(path, `is a ${typeof value}`);
    case 'object':
      if (value !== null) checkParts(value, path, above);
      return true;
    case 'string':
    case 'boolean':
      return true;
  }
}

/** What `toJSON` answers where there is one; the one of a Buffer would make an object with an array of it. */
function answered(given: unknown, path: readonly string[]): unknown {
  if ((typeof given !== 'object' && typeof given !== 'bigint') || given === null) return given;
  if (ArrayBuffer.isView(given)) lost(path, `is ${kindOf(given)}`);
  if (given instanceof Date && Number.isNaN(given.getTime())) lost(path, 'is an invalid Date');
  const { toJSON } = given as { readonly toJSON?: unknown };
  return typeof toJSON === 'function' ? (toJSON.call(given, path.at(-1) ?? '') as unknown) : given;
}

function checkParts(value: object, path: string[], above: object[]): void {
  if (above.includes(value)) lost(path, 'is one of those that it stands in');
  above.push(value);
  if (Array.isArray(value)) {
    // Not `forEach`, which leaves holes out.
    for (let at = 0; at < value.length; at += 1) {
      path.push(String(at));
      if (!check(value[at], path, above)) lost(path, 'is undefined in an array');
      path.pop();
    }
  } else {
    for (const key of membersOf(value, path)) {
      path.push(key);
      check((value as Readonly<Record<string, unknown>>)[key], path, above);
      path.pop();
    }
  }
  above.pop();
}

/** A Map, an Error or a class with private fields keeps its data outside of its members: its JSON would be empty. */
function membersOf(value: object, path: readonly string[]): readonly string[] {
  const keys = Object.keys(value);
  const prototype: unknown = Object.getPrototypeOf(value);
  // The prototype of an object literal, of any realm, has no prototype itself.
  const isLiteral = prototype === null || Object.getPrototypeOf(prototype) === null;
  const isPlain = keys.length > 0 && Object.prototype.toString.call(value) === '[object Object]';
  return isLiteral || isPlain ? keys : lost(path, `is ${kindOf(value)}`);
}

function kindOf({ constructor }: object): string {
  return `an instance of ${constructor.name}`;
}

function lost(path: readonly string[], what: string): never {
  return refuse(path, `${what}, which JSON cannot carry`);
}

function refuse(path: readonly string[], detail: string, cause?: unknown): never {
  const tokens = path.slice(0, KEYS_SHOWN).map((key) => `/${tokenOf(key)}`);
  const pointer = `#${tokens.join('')}`;
  throw new ApiError(`Correct these fields: ${pointer} ${detail}`, {
    status: 0,
    code: 'invalid-input',
    title: 'The input is not valid',
    errors: [{ pointer, detail }],
    cause,
  });
}

/** A key of a JSON Pointer in a URI, which has no form for half of a character. */
function tokenOf(key: string): string {
  const escaped = key.replaceAll('~', '~0').replaceAll('/', '~1');
  return encodeURIComponent(escaped.replaceAll(/\p{Surrogate}/gu, '\ufffd'));
}
