// A route with its contract: who may call it, what it takes and what it answers. The OpenAPI document is made of these, so
// that it cannot say anything else than the server does.

import { toJsonSchema } from '@valibot/to-json-schema';
import type { Context, Hono } from 'hono';
import { uniqueSymbol } from 'hono-openapi';
import * as v from 'valibot';
import { ERROR_CODES, type ErrorCode, PopfleetError } from '../protocol/errors.ts';
import type { InputSchema } from '../tasks/input-schema.ts';
import type { AppEnv } from './app-env.ts';
import { allows, type Scope } from './caller.ts';
import { compact } from '../protocol/compact.ts';

export type Schema = v.GenericSchema<unknown, unknown>;
/** A JSON Schema (2020-12), for what no valibot schema describes. */
export type JsonSchema = Readonly<Record<string, unknown>>;

export interface Operation {
  /** Unique; clients that are generated call their methods so. */
  readonly id: string;
  readonly tag: 'tasks' | 'queues' | 'schedules' | 'events' | 'session' | 'service';
  readonly summary: string;
  readonly description?: string;
  /** What the caller's key must allow; with `any` every key will do. */
  readonly scope: Scope | 'any' | 'public';
  /** Query parameters; all values come as texts. Others are refused by `readQuery`. */
  readonly query?: v.ObjectEntries;
  /** Request headers beside the usual ones, with what they are for. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Media type of the body → what it must be. */
  readonly body?: Readonly<Record<string, Schema | JsonSchema>>;
  /** Status → what it means, and the body by media type. */
  readonly answers: Readonly<Record<number, OperationAnswer>>;
  /** Beside those of every operation. */
  readonly problems?: readonly ErrorCode[];
}

export interface OperationAnswer {
  readonly description: string;
  /** Answered as JSON or CBOR, as the caller asks. */
  readonly schema?: Schema | JsonSchema;
  /** Instead of `schema`, for other media types. */
  readonly content?: Readonly<Record<string, Schema | JsonSchema>>;
}

type Handler = (c: Context<AppEnv>) => Response | Promise<Response>;

/** Adds a route. Its handler is called only for a caller whose key has the scope. */
export function addRoute(
  app: Hono<AppEnv>,
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  path: string,
  operation: Operation,
  handler: Handler,
): void {
  const { scope } = operation;
  const guarded: Handler = (c) => {
    if (scope !== 'public' && scope !== 'any' && !allows(c.get('caller'), scope)) {
      throw new PopfleetError('forbidden', `This needs a key with the scope "${scope}".`);
    }
    return handler(c);
  };
  app.on(method, path, Object.assign(guarded, { [uniqueSymbol]: { spec: specOf(operation, method, path) } }));
}

/** Problems that any operation may answer, by who may call it. */
const OF_ALL: readonly ErrorCode[] = ['bad-host', 'internal', 'redis-unavailable', 'shutting-down'];
const OF_WRITES: readonly ErrorCode[] = ['cross-site'];
const OF_KEYS: readonly ErrorCode[] = ['unauthenticated', 'forbidden', 'quota-exceeded'];

function specOf(operation: Operation, method: string, path: string): object {
  const { id, tag, summary, description, scope, body, answers, problems = [] } = operation;
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(description === undefined ? {} : { description }),
    'x-scope': scope,
    ...(scope === 'public' ? { security: [] } : {}),
    parameters: [...pathParameters(path), ...queryParameters(operation), ...headerParameters(operation)],
    ...(body ? { requestBody: { required: true, content: toContent(body, 'input') } } : {}),
    responses: {
      ...toProblems([
        ...OF_ALL,
        ...(method === 'GET' ? [] : OF_WRITES),
        ...(scope === 'public' ? [] : OF_KEYS),
        ...problems,
      ]),
      ...Object.fromEntries(Object.entries(answers).map(([status, one]) => [status, toResponse(one)])),
    },
  };
}

function pathParameters(path: string): object[] {
  return Array.from(path.matchAll(/:(\w+)/g), ([, name]) => ({
    in: 'path',
    name,
    required: true,
    schema: { type: 'string' },
  }));
}

function queryParameters({ query = {} }: Operation): object[] {
  const { properties = {}, required = [] } = toJson(v.object(query)) as {
    properties?: Record<string, JsonSchema>;
    required?: readonly string[];
  };
  return Object.entries(properties).map(([name, { description, ...schema }]) =>
    compact({ in: 'query', name, required: required.includes(name), description, schema }),
  );
}

function headerParameters({ headers = {} }: Operation): object[] {
  return Object.entries(headers).map(([name, description]) => ({
    in: 'header',
    name,
    required: false,
    description,
    schema: { type: 'string' },
  }));
}

function toResponse({ description, schema, content }: OperationAnswer): object {
  const bodies = content ?? (schema ? { 'application/json': schema, 'application/cbor': schema } : undefined);
  return { description, ...(bodies ? { content: toContent(bodies, 'output') } : {}) };
}

function toContent(bodies: Readonly<Record<string, Schema | JsonSchema>>, mode: 'input' | 'output'): object {
  return Object.fromEntries(
    Object.entries(bodies).map(([media, schema]) => [
      media,
      { schema: isSchema(schema) ? toJson(schema, mode) : schema },
    ]),
  );
}

/** One answer a status; its description names the codes. */
function toProblems(codes: readonly ErrorCode[]): object {
  const byStatus = new Map<number, Set<ErrorCode>>();
  for (const code of codes) {
    const { status } = ERROR_CODES[code];
    byStatus.set(status, (byStatus.get(status) ?? new Set()).add(code));
  }
  return Object.fromEntries(
    [...byStatus].map(([status, names]) => [
      status,
      {
        description: [...names].map((code) => `\`${code}\`: ${ERROR_CODES[code].title}`).join('; '),
        content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
      },
    ]),
  );
}

function isSchema(schema: Schema | JsonSchema): schema is Schema {
  return '~run' in schema;
}

/**
 * What cannot be said in JSON Schema (a check, a transformation) is left out: the server is then stricter than the document.
 * @param mode what a caller sends, or what the server makes of it and answers: a field with a default is always there
 */
export function toJson(schema: Schema, mode: 'input' | 'output' = 'input'): JsonSchema {
  const { $schema: _, ...json } = toJsonSchema(schema, {
    target: 'draft-2020-12',
    typeMode: mode,
    errorMode: 'ignore',
  });
  return json;
}

/** zod throws at a part that JSON Schema cannot say, unless it may let anything stand for it. */
const JSON_SCHEMA = { target: 'draft-2020-12', libraryOptions: { unrepresentable: 'any' } } as const;

/**
 * The schema of the input of a task type, standing alone: references begin at its root.
 * @returns `{}`, which anything fits, where the library of the schema cannot say it in JSON Schema
 */
export function inputToJson(schema: InputSchema): JsonSchema {
  if ('~run' in schema) return toJson(schema as InputSchema & Schema);
  try {
    const { $schema: _, ...json } = schema['~standard'].jsonSchema?.input(JSON_SCHEMA) ?? {};
    return json;
  } catch {
    return {};
  }
}

/** Metadata of a query parameter that comes as a text and is shown as a whole number. */
export function shownAsInteger(minimum: number, maximum: number): Metadata {
  return v.metadata({ type: 'integer', minimum, maximum, pattern: undefined });
}
type Metadata = v.MetadataAction<string, Readonly<Record<string, unknown>>>;

/** A query parameter that is `true` or `false`. */
export function booleanEntry(description: string) {
  const word = v.picklist(['true', 'false'], 'must be true or false');
  return v.optional(v.pipe(word, v.metadata({ type: 'boolean', enum: undefined, description })));
}

/**
 * Reads the query by the entries of its operation.
 * @throws PopfleetError `invalid-query` that names every parameter
 */
export function readQuery<Entries extends v.ObjectEntries>(
  c: Context<AppEnv>,
  entries: Entries,
): v.InferOutput<v.ObjectSchema<Entries, undefined>> {
  const given = c.req.query();
  const unknown = Object.keys(given).filter((name) => !Object.hasOwn(entries, name));
  const parsed = v.safeParse(v.object(entries), given, { abortPipeEarly: true });
  const faults = [
    ...unknown.map((name) => `\`${name.slice(0, 64)}\` is not known here`),
    ...(parsed.issues ?? []).map((issue) => `\`${v.getDotPath(issue) ?? ''}\` ${issue.message}`),
  ];
  if (parsed.success && faults.length === 0) return parsed.output;
  throw new PopfleetError('invalid-query', `${faults.join('; ')}.`);
}
