// The document of a server, and answers compared with it.

import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import type { JsonSchema } from './arbitrary.ts';
import { call } from './http.ts';

interface Media {
  readonly schema: JsonSchema;
}
interface Parameter {
  readonly in: 'path' | 'query' | 'header';
  readonly name: string;
  readonly required: boolean;
  readonly schema: JsonSchema;
}
export interface DocumentedOperation {
  readonly method: string;
  /** With braces around its parameters. */
  readonly path: string;
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly summary: string;
  readonly 'x-scope': string;
  readonly parameters: readonly Parameter[];
  readonly requestBody?: { readonly content: Readonly<Record<string, Media>> };
  readonly responses: Readonly<Record<string, DocumentedAnswer>>;
}
interface DocumentedAnswer {
  readonly description: string;
  readonly content?: Readonly<Record<string, Media>>;
}
export interface OpenApiDocument {
  readonly openapi: string;
  readonly paths: Readonly<
    Record<string, Readonly<Record<string, Omit<DocumentedOperation, 'method' | 'path'>>>>
  >;
  readonly components: {
    readonly schemas: Readonly<Record<string, JsonSchema>>;
    readonly responses: Readonly<Record<string, DocumentedAnswer>>;
  };
}

export async function documentOf(url: string): Promise<OpenApiDocument> {
  const { body } = await call(`${url}/openapi.json`);
  return body as unknown as OpenApiDocument;
}

/** With what their bodies refer to in place. */
export function operationsOf({ paths, components }: OpenApiDocument): DocumentedOperation[] {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, one]) =>
      Object.assign(structuredClone(one), {
        path,
        method: method.toUpperCase(),
        responses: resolveAnswers(one.responses, components.responses),
        ...(one.requestBody && { requestBody: resolveRefs(one.requestBody, components.schemas) }),
      }),
    ),
  );
}

/** Puts shared answers where they are referred to. */
function resolveAnswers(
  answers: DocumentedOperation['responses'],
  shared: DocumentedOperation['responses'],
): DocumentedOperation['responses'] {
  const resolved = Object.entries(answers).map(([status, answer]) => {
    const ref = '$ref' in answer ? String(answer.$ref).split('/').at(-1) : undefined;
    return [status, ref === undefined ? answer : (shared[ref] ?? answer)] as const;
  });
  return Object.fromEntries(resolved);
}

/** Puts in place what is referred to. Schemas that refer to themselves cannot be written so. */
function resolveRefs<Value>(value: Value, schemas: OpenApiDocument['components']['schemas']): Value {
  if (Array.isArray(value)) return value.map((item: unknown) => resolveRefs(item, schemas)) as Value;
  if (typeof value !== 'object' || value === null) return value;
  const ref = '$ref' in value ? /^#\/components\/schemas\/(\w+)$/.exec(String(value.$ref))?.[1] : undefined;
  if (ref !== undefined) return resolveRefs(schemas[ref] as Value, schemas);
  const members = Object.entries(value).map(([name, member]) => [name, resolveRefs(member, schemas)]);
  return Object.fromEntries(members) as Value;
}

export interface Judge {
  /** What about an answer is not as the document says; `undefined` when all is. */
  faultOf(
    operation: DocumentedOperation,
    status: number,
    type: string | null,
    body: string,
  ): string | undefined;
}

export function createJudge(document: OpenApiDocument): Judge {
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema({ $id: 'document', components: document.components });
  const compiled = new Map<JsonSchema, ValidateFunction>();

  function check(schema: JsonSchema): ValidateFunction {
    const known = compiled.get(schema);
    if (known) return known;
    // References are to the document.
    const text = JSON.stringify(schema).replaceAll('"#/components', '"document#/components');
    const made = ajv.compile(JSON.parse(text) as JsonSchema);
    compiled.set(schema, made);
    return made;
  }

  return {
    faultOf(operation, status, type, body) {
      const documented = operation.responses[String(status)];
      if (!documented) return `the status ${status} is not in the document: ${body.slice(0, 300)}`;
      const media = (type ?? '').split(';', 1)[0] ?? '';
      if (!documented.content)
        return body === '' ? undefined : `a body with ${status}: ${body.slice(0, 300)}`;
      const content = documented.content[media];
      if (!content) return `${media} is not in the document for ${status}`;
      if (!media.endsWith('json')) return undefined;
      const validate = check(content.schema);
      if (validate(JSON.parse(body))) return undefined;
      return `${ajv.errorsText(validate.errors)} in ${body.slice(0, 300)}`;
    },
  };
}
