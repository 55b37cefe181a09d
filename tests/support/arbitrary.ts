// Values that a JSON Schema allows, as the OpenAPI document of the server has them. Only what stands in that document is read.

import { findBigInteger } from '../../src/protocol/big-integers.ts';
import { readPlain } from '../../src/protocol/plain-value.ts';
import fc from 'fast-check';

export type JsonSchema = Readonly<Record<string, unknown>>;

/** The keywords that are read; the test of the document fails when it has another one. */
export const READ_KEYWORDS: ReadonlySet<string> = new Set(
  `type properties required additionalProperties propertyNames items enum const anyOf oneOf allOf unevaluatedProperties
  minimum maximum minLength
  maxLength minItems maxItems pattern format title description default $ref`.split(/\s+/),
);

const made = new WeakMap<JsonSchema, fc.Arbitrary<unknown>>();

/** Values that fit the schema. */
export function valid(schema: JsonSchema): fc.Arbitrary<unknown> {
  const known = made.get(schema);
  if (known) return known;
  const arbitrary = make(schema);
  made.set(schema, arbitrary);
  return arbitrary;
}

function make(schema: JsonSchema): fc.Arbitrary<unknown> {
  if ('const' in schema) return fc.constant(schema['const']);
  const choices = (schema['enum'] ?? undefined) as readonly unknown[] | undefined;
  if (choices) return fc.constantFrom(...choices);
  const either = (schema['anyOf'] ?? schema['oneOf']) as readonly JsonSchema[] | undefined;
  if (either) return fc.oneof(...either.map(valid));
  const all = schema['allOf'] as readonly JsonSchema[] | undefined;
  // Together they describe the members of one object.
  if (all) return fc.tuple(...all.map(valid)).map((parts) => Object.assign({}, ...parts) as object);
  switch (schema['type']) {
    case 'object':
      return object(schema);
    case 'array':
      return fc.array(valid((schema['items'] ?? {}) as JsonSchema), {
        minLength: Number(schema['minItems'] ?? 0),
        maxLength: Math.min(5, Number(schema['maxItems'] ?? 5)),
      });
    case 'string':
      return text(schema);
    case 'integer':
      return fc.integer(range(schema));
    case 'number':
      return fc.double({ ...range(schema), noNaN: true, noDefaultInfinity: true });
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    default:
      return fc.jsonValue({ maxDepth: 2 }).filter(isPlainJson);
  }
}

/** Any JSON but what no body may hold: keys such as `__proto__`, and doubles that JSON writes as integers beyond 2^53. */
function isPlainJson(value: unknown): boolean {
  const json = JSON.stringify(value);
  return !('fault' in readPlain(JSON.parse(json))) && findBigInteger(json) === undefined;
}

function range(schema: JsonSchema): { min: number; max: number } {
  const min = Number(schema['minimum'] ?? -1_000_000);
  const max = Number(schema['maximum'] ?? Math.max(min, 1_000_000));
  return { min: Math.max(min, -(2 ** 31)), max: Math.min(max, 2 ** 31 - 1) };
}

function text(schema: JsonSchema): fc.Arbitrary<string> {
  const pattern = schema['pattern'];
  if (typeof pattern === 'string') return matching(pattern);
  if (schema['format'] === 'date-time') {
    const from = { min: new Date('2026-01-01T00:00:00Z'), max: new Date('2100-01-01T00:00:00Z') };
    return fc.date({ ...from, noInvalidDate: true }).map((date) => date.toISOString());
  }
  const minLength = Number(schema['minLength'] ?? 0);
  return fc.string({ minLength, maxLength: Math.min(Number(schema['maxLength'] ?? 30), minLength + 30) });
}

const matched = new Map<string, fc.Arbitrary<string>>();

/** Many schemas share a few patterns, and one with a class of letters costs tenths of a second to make. */
function matching(pattern: string): fc.Arbitrary<string> {
  const known = matched.get(pattern);
  if (known) return known;
  const arbitrary = fc.stringMatching(new RegExp(pattern));
  matched.set(pattern, arbitrary);
  return arbitrary;
}

function object(schema: JsonSchema): fc.Arbitrary<unknown> {
  const properties = (schema['properties'] ?? {}) as Readonly<Record<string, JsonSchema>>;
  const required = (schema['required'] ?? []) as string[];
  const fields = Object.fromEntries(Object.entries(properties).map(([name, one]) => [name, valid(one)]));
  return fc.record(fields, { requiredKeys: required as never[] });
}

/** A value that is close to a fitting one, and most often wrong: something in it was replaced, added or taken away. */
export function nearly(schema: JsonSchema): fc.Arbitrary<unknown> {
  return fc
    .tuple(valid(schema), fc.nat(), fc.oneof(odd, fc.jsonValue({ maxDepth: 3 })), fc.nat(3))
    .map(([value, place, other, what]) => mutate(value, place, other, what));
}

/** Values that have broken servers before. */
const odd = fc.constantFrom<unknown>(
  null,
  '',
  -1,
  0,
  1.5,
  1e308,
  2 ** 53,
  true,
  [],
  {},
  [[[[]]]],
  'a'.repeat(300),
  '\u0000',
  '\r\n',
  '\u2028',
  '{x}:*',
  '../../etc/passwd',
  'constructor',
  '__proto__',
  '<script>',
  '9999-99-99T99:99:99Z',
);

function mutate(value: unknown, place: number, other: unknown, what: number): unknown {
  if (typeof value !== 'object' || value === null || what === 0) return other;
  if (Array.isArray(value)) {
    const items: unknown[] = [...(value as readonly unknown[])];
    if (items.length === 0) return [other];
    const at = place % items.length;
    items[at] = what === 1 ? other : mutate(items[at], place >> 2, other, what - 1);
    return items;
  }
  const names = Object.keys(value);
  if (what === 1 || names.length === 0) return { ...value, [`extra${place % 7}`]: other };
  const name = names[place % names.length] ?? '';
  const { [name]: old, ...rest } = value as Record<string, unknown>;
  return what === 2 ? rest : { ...rest, [name]: mutate(old, place >> 2, other, place % 3) };
}
