// A route with its contract: scope, parameters, body and answers. The OpenAPI document, the public paths and the check of
// scopes are made of these, so that none of them can differ from what the server does.

import { toJsonSchema } from '@valibot/to-json-schema';
import type { Context, Hono } from 'hono';
import * as v from 'valibot';
import { ERROR_CODES, type ErrorCode, PopfleetError } from '../protocol/errors.ts';
import { InstantSchema } from '../protocol/instant.ts';
import { QUEUE_NAME } from '../protocol/names.ts';
import type { InputSchema } from '../tasks/input-schema.ts';
import type { AppEnv } from './app-env.ts';
import { allows, type Scope } from './caller.ts';
import { compact } from '../protocol/compact.ts';

export type Schema = v.GenericSchema<unknown, unknown>;
/** A JSON Schema (2020-12), for bodies that no valibot schema describes. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** Description of each group of operations in the document. */
export const TAGS = {
  tasks: 'Send tasks, look at them, stop them.',
  queues: 'Queues and the workers that serve them.',
  workflows: 'Tasks that need each other.',
  batches: 'Tasks that are counted together.',
  operations: 'What is done to many tasks at once.',
  schedules: 'Tasks that come again by the clock.',
  webhooks: 'Who is told when tasks have ended.',
  events: 'What happens, as it happens.',
  session: 'Signing in with a key from a browser.',
  service: 'The server itself.',
} as const;

export interface Operation {
  /** Unique; generated clients name their methods by it. */
  readonly id: string;
  readonly tag: keyof typeof TAGS;
  readonly summary: string;
  readonly description?: string;
  /** Scope that the caller's key needs; with `any` every key suffices, `public` needs none. */
  readonly scope: Scope | 'any' | 'public';
  /** Values of a parameter of the path, where only some are valid; a public operation is public for these alone. */
  readonly params?: Readonly<Record<string, readonly string[]>>;
  /** Query parameters, whose values come as texts. `readQuery` refuses others. */
  readonly query?: v.ObjectEntries;
  /** Request headers beside the usual ones, with what they are for. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Media type of the body → its schema. */
  readonly body?: Readonly<Record<string, Schema | JsonSchema>>;
  /** Whether a request may come without a body. */
  readonly isBodyOptional?: boolean;
  /** Status → its description, and the body by media type. */
  readonly answers: Readonly<Record<number, OperationAnswer>>;
  /** Error codes beside those of every operation. */
  readonly problems?: readonly ErrorCode[];
}

export interface OperationAnswer {
  readonly description: string;
  /** Schema of a body that is answered as JSON or CBOR, as `Accept` prefers. */
  readonly schema?: Schema | JsonSchema;
  /** Bodies of other media types, instead of `schema`. */
  readonly content?: Readonly<Record<string, Schema | JsonSchema>>;
}

export type Handler = (c: Context<AppEnv>) => Response | Promise<Response>;

export const ROUTE_METHODS = ['GET', 'POST', 'PUT', 'DELETE'] as const;

export interface Route {
  readonly method: (typeof ROUTE_METHODS)[number];
  /** In the form of Hono: `/v1/tasks/:id`. */
  readonly path: string;
  /** `undefined` for the files of a page, which are public and not in the document. */
  readonly operation: Operation | undefined;
  /** Called only for a caller whose key has the scope of the operation. */
  readonly handle: Handler;
}

export function route(
  method: Route['method'],
  path: string,
  operation: Operation | undefined,
  handle: Handler,
): Route {
  return { method, path, operation, handle };
}

/** @param around goes around the check of the scope and the handler */
export function addRoute(
  app: Hono<AppEnv>,
  { method, path, operation, handle }: Route,
  around: (handle: Handler) => Handler = (inner) => inner,
): void {
  const scope = operation?.scope ?? 'public';
  const label = operation ? path : folderOf(path);
  const checked: Handler = (c) => {
    c.set('route', label);
    if (scope !== 'public' && scope !== 'any' && !allows(c.get('caller'), scope)) {
      throw new PopfleetError('forbidden', `This needs a key with the scope "${scope}".`);
    }
    return handle(c);
  };
  app.on(method, path, around(checked));
}

/** What metrics call the files of one folder: each name of its own would be series that are kept for ever. */
function folderOf(path: string): string {
  return path.replace(/^(\/[^/]+)\/.+/, '$1/:file');
}

/** @returns whether a call needs no key; a path without a route is not public */
export function publicPaths(routes: readonly Route[]): (method: string, path: string) => boolean {
  const open = new Set(
    routes
      .filter(({ operation }) => (operation?.scope ?? 'public') === 'public')
      .flatMap(({ method, path, operation }) =>
        pathsOf(path, operation?.params).map((one) => `${method} ${one}`),
      ),
  );
  return (method, path) => open.has(`${method === 'HEAD' ? 'GET' : method} ${path}`);
}

/** The paths of a route: one for each value of a parameter that lists its values. */
function pathsOf(path: string, params: Operation['params'] = {}): readonly string[] {
  let paths = [path];
  for (const [name, values] of Object.entries(params)) {
    paths = paths.flatMap((one) => values.map((value) => one.replace(`:${name}`, value)));
  }
  return paths;
}

/** What the OpenAPI document says of the routes. */
export interface DocumentedRoutes {
  readonly paths: Readonly<Record<string, object>>;
  /** Answers that many operations share, by name: those of errors. */
  readonly responses: Readonly<Record<string, object>>;
}

export function documentRoutes(routes: readonly Route[]): DocumentedRoutes {
  const paths: Record<string, Record<string, object>> = {};
  const responses: Record<string, object> = {};
  for (const { method, path, operation } of routes) {
    if (!operation) continue;
    const name = path.replaceAll(/:(\w+)/g, '{$1}');
    paths[name] = { ...paths[name], [method.toLowerCase()]: specOf(operation, method, path, responses) };
  }
  return { paths, responses };
}

/** Error codes of all operations, of those that write, of those that change a queue, and of those that need a key. */
const OF_ALL: readonly ErrorCode[] = ['bad-host', 'internal', 'redis-unavailable', 'shutting-down'];
const OF_WRITES: readonly ErrorCode[] = ['cross-site'];
const OF_CHANGES: readonly ErrorCode[] = ['upgrade-needed'];
const OF_KEYS: readonly ErrorCode[] = ['unauthenticated', 'forbidden', 'quota-exceeded'];

/** @param shared gets the answers of errors */
function specOf(operation: Operation, method: string, path: string, shared: Record<string, object>): object {
  const { id, tag, summary, description, scope, body, answers, problems = [] } = operation;
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(description === undefined ? {} : { description }),
    'x-scope': scope,
    ...(scope === 'public' ? { security: [] } : {}),
    parameters: [
      ...pathParameters(path, operation),
      ...queryParameters(operation),
      ...headerParameters(operation),
    ],
    ...(body
      ? { requestBody: { required: !operation.isBodyOptional, content: toContent(body, 'input') } }
      : {}),
    responses: {
      ...toProblems(
        [
          ...OF_ALL,
          ...(method === 'GET' ? [] : OF_WRITES),
          ...(method === 'GET' || scope === 'public' ? [] : OF_CHANGES),
          ...(scope === 'public' ? [] : OF_KEYS),
          ...problems,
        ],
        shared,
      ),
      ...Object.fromEntries(Object.entries(answers).map(([status, one]) => [status, toResponse(one)])),
    },
  };
}

function pathParameters(path: string, { params = {} }: Operation): object[] {
  return Array.from(path.matchAll(/:(\w+)/g), ([, name = '']) => ({
    in: 'path',
    name,
    required: true,
    schema: compact({ type: 'string', enum: params[name] }),
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

/**
 * The errors as one answer for each status, whose description names the codes.
 * @param shared gets the answers, by their codes: most operations have the same
 */
function toProblems(codes: readonly ErrorCode[], shared: Record<string, object>): object {
  const byStatus = new Map<number, Set<ErrorCode>>();
  for (const code of codes) {
    const { status } = ERROR_CODES[code];
    byStatus.set(status, (byStatus.get(status) ?? new Set()).add(code));
  }
  return Object.fromEntries(
    [...byStatus].map(([status, names]) => {
      const sorted = [...names].toSorted();
      const name = sorted.join('.');
      shared[name] = {
        description: sorted.map((code) => `\`${code}\`: ${ERROR_CODES[code].title}`).join('; '),
        content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
      };
      return [status, { $ref: `#/components/responses/${name}` }];
    }),
  );
}

function isSchema(schema: Schema | JsonSchema): schema is Schema {
  return '~run' in schema;
}

/**
 * A check or a transformation that JSON Schema cannot express is left out: the server is then stricter than the document.
 * @param mode `input`: what a caller sends; `output`: what the server answers, where a field with a default is always there
 */
export function toJson(schema: Schema, mode: 'input' | 'output' = 'input'): JsonSchema {
  const { $schema: _, ...json } = toJsonSchema(schema, {
    target: 'draft-2020-12',
    typeMode: mode,
    errorMode: 'ignore',
  });
  return json;
}

/** zod throws at a part that JSON Schema cannot express, unless it may replace it by a schema that any value fits. */
const JSON_SCHEMA = { target: 'draft-2020-12', libraryOptions: { unrepresentable: 'any' } } as const;

/**
 * The schema of the input of a task type, whose references begin at its own root.
 * @returns `{}`, which any value fits, when the library of the schema cannot express it in JSON Schema
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

/** Metadata of a query parameter that comes as text and that the document shows as an integer. */
export function shownAsInteger(minimum: number, maximum: number): Metadata {
  return v.metadata({ type: 'integer', minimum, maximum, pattern: undefined });
}

/** What a page has unless its query says otherwise. */
export const ROWS_A_PAGE = 50;

/** A query parameter that is a whole number. */
export function integerEntry(min: number, max: number, description: string) {
  const fault = `must be a whole number from ${min} to ${max}`;
  const isWithin = (text: string): boolean => Number(text) >= min && Number(text) <= max;
  const schema = v.pipe(
    v.string(),
    v.regex(/^(?:0|[1-9]\d{0,14})$/, fault),
    v.check(isWithin, fault),
    v.description(description),
    shownAsInteger(min, max),
    v.transform(Number),
  );
  return v.optional(schema);
}

/** A query parameter: how many a page has. @param what has pages, for the document */
export function pageLimit(what: string) {
  return integerEntry(1, 200, `${what} of a page, 1 to 200; ${ROWS_A_PAGE} by default.`);
}
type Metadata = v.MetadataAction<string, Readonly<Record<string, unknown>>>;

/** A query parameter that is a moment, read as milliseconds since 1970. */
export function instantEntry(what: string) {
  return v.optional(
    v.pipe(
      v.string(),
      v.description(`${what}: RFC 3339, or milliseconds since 1970.`),
      v.metadata({ format: 'date-time' }),
      v.transform((text) => (/^\d+$/.test(text) ? Number(text) : text)),
      InstantSchema,
    ),
  );
}

/** A query parameter that names a queue. */
export function queueEntry(description: string) {
  return v.optional(
    v.pipe(v.string(), v.regex(QUEUE_NAME, `must match ${QUEUE_NAME.source}`), v.description(description)),
  );
}

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
