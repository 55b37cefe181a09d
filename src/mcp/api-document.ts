// What the server's OpenAPI document says of its operations, as far as tools are made of it.

export type JsonSchema = Readonly<Record<string, unknown>>;

interface Parameter {
  readonly in: 'path' | 'query' | 'header';
  readonly name: string;
  readonly required: boolean;
  readonly description?: string;
  readonly schema: JsonSchema;
}

type Bodies = Readonly<Record<string, { readonly schema: JsonSchema }>>;

interface DocumentedOperation {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly summary: string;
  readonly description?: string;
  readonly 'x-scope': string;
  readonly parameters: readonly Parameter[];
  readonly requestBody?: { readonly required: boolean; readonly content: Bodies };
  readonly responses: Readonly<Record<string, { readonly content?: Bodies }>>;
}

export interface ApiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, DocumentedOperation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, JsonSchema>> };
}

/** An operation with its place. */
export interface ApiOperation extends DocumentedOperation {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** With braces around its parameters: `/v1/tasks/{id}`. */
  readonly path: string;
}

export function operationsOf({ paths }: ApiDocument): readonly ApiOperation[] {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) =>
      Object.assign({}, operation, { path, method: method.toUpperCase() as ApiOperation['method'] }),
    ),
  );
}

const REF = /^#\/components\/schemas\/(.+)$/;

/**
 * A schema that stands on its own: with what it refers to in its place, and all parts of an `allOf` in one. Of what refers to itself
 * nothing is said the second time.
 */
export function resolveSchema(
  schema: JsonSchema,
  document: ApiDocument,
  within: readonly string[] = [],
): JsonSchema {
  const { $ref, allOf, ...rest } = schema;
  if (typeof $ref === 'string') {
    const name = REF.exec($ref)?.[1] ?? '';
    const found = document.components.schemas[name];
    if (found === undefined || within.includes(name)) return rest;
    const resolved = name === 'TaskCall' ? callOfAnyType(found, document) : found;
    return { ...resolveSchema(resolved, document, [...within, name]), ...rest };
  }
  if (Array.isArray(allOf)) {
    const parts = (allOf as readonly JsonSchema[]).map((part) => resolveSchema(part, document, within));
    const { unevaluatedProperties, ...others } = rest;
    const closed = unevaluatedProperties === false ? { additionalProperties: false } : {};
    return { ...others, ...together(parts), ...closed };
  }
  const members = Object.entries(rest).map(([key, value]) => [key, resolveMember(value, document, within)]);
  return Object.fromEntries(members) as JsonSchema;
}

function resolveMember(value: unknown, document: ApiDocument, within: readonly string[]): unknown {
  if (Array.isArray(value)) return value.map((item) => resolveMember(item, document, within));
  if (typeof value !== 'object' || value === null) return value;
  return resolveSchema(value as JsonSchema, document, within);
}

function together(parts: readonly JsonSchema[]): JsonSchema {
  return {
    type: 'object',
    properties: Object.assign({}, ...parts.map((part) => part['properties'])) as JsonSchema,
    required: parts.flatMap((part) => (part['required'] ?? []) as readonly string[]),
  };
}

/**
 * A fleet may have hundreds of types, each with its schema: they are named here, and described by the operation `listTypes`. So the
 * schema of a tool stays small.
 */
function callOfAnyType(call: JsonSchema, document: ApiDocument): JsonSchema {
  const forms = (call['oneOf'] ?? []) as readonly JsonSchema[];
  const types = forms.flatMap((form) => {
    const { properties } = resolveSchema(form, document) as {
      readonly properties?: Readonly<Record<string, JsonSchema>>;
    };
    return properties?.['type']?.['const'] ?? [];
  });
  return {
    type: 'object',
    properties: {
      type: { type: 'string', ...(types.length > 0 ? { enum: types } : {}) },
      input: { description: 'As the schema of this type wants it: listTypes has all of them.' },
    },
    required: ['type', 'input'],
  };
}
