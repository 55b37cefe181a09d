// References of an input to what other steps of a workflow bring: `{"$from": "<step>", "path": "/a/b"}` stands for a part of the
// result of that step, without `path` for all of it.

import { pointerBelow } from './validate.ts';

/** Where a reference stands, and what it names. */
export interface Reference {
  /** JSON Pointer in fragment form. */
  readonly pointer: string;
  readonly step: unknown;
  readonly path: unknown;
  /** Has other members, which mean nothing. */
  readonly hasOthers: boolean;
}

const MARK = '$from';
const INDEX = /^(?:0|[1-9]\d*)$/;

function isReference(value: object): value is { readonly $from: unknown; readonly path?: unknown } {
  return Object.hasOwn(value, MARK);
}

/** @param at JSON Pointer of the value within the caller's request, without `#`. Accepted values are at most 64 levels deep */
export function referencesIn(value: unknown, at: string): readonly Reference[] {
  const found: Reference[] = [];
  const look = (part: unknown, path: readonly string[]): void => {
    if (typeof part !== 'object' || part === null || part instanceof Uint8Array) return;
    if (isReference(part)) {
      const others = Object.keys(part).filter((key) => key !== MARK && key !== 'path');
      const pointer = pointerBelow(at, path);
      found.push({ pointer, step: part.$from, path: part.path, hasOthers: others.length > 0 });
      return;
    }
    for (const [key, below] of Object.entries(part)) look(below, [...path, key]);
  };
  look(value, []);
  return found;
}

/** What a reference names is not there. */
export class ReferenceFault extends Error {}

/**
 * A copy of a value with what its references name.
 * @param resultOf the result of a step
 * @throws ReferenceFault
 */
export function resolveReferences(value: unknown, resultOf: (step: string) => unknown): unknown {
  const resolve = (part: unknown, path: readonly string[]): unknown => {
    if (typeof part !== 'object' || part === null || part instanceof Uint8Array) return part;
    if (isReference(part)) return follow(part, path, resultOf);
    if (Array.isArray(part)) return part.map((one, at) => resolve(one, [...path, String(at)]));
    return Object.fromEntries(
      Object.entries(part).map(([key, below]) => [key, resolve(below, [...path, key])]),
    );
  };
  return resolve(value, []);
}

function follow(
  { $from: step, path = '' }: { readonly $from: unknown; readonly path?: unknown },
  at: readonly string[],
  resultOf: (step: string) => unknown,
): unknown {
  let value = resultOf(String(step));
  for (const key of keysOf(String(path))) {
    if (!hasMember(value, key)) {
      throw new ReferenceFault(
        `the input is not valid at ${pointerBelow('', at)}: the result of the step "${String(step)}" has no ${String(path)}`,
      );
    }
    value = (value as Readonly<Record<string, unknown>>)[key];
  }
  return value;
}

/** Whether a pointer leads on: elements of a list have numbers, written as RFC 6901 says, and nothing is below bytes. */
function hasMember(value: unknown, key: string): boolean {
  if (Array.isArray(value)) return INDEX.test(key) && Number(key) < value.length;
  return (
    typeof value === 'object' && value !== null && !(value instanceof Uint8Array) && Object.hasOwn(value, key)
  );
}

/** Keys of a JSON Pointer (RFC 6901). */
function keysOf(pointer: string): readonly string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
}
