// The OpenAPI document: valid by an independent validator, complete, and each schema in it is one.

import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Server } from '../../src/server/server.ts';
import { type JsonSchema, READ_KEYWORDS } from '../support/arbitrary.ts';
import { eventually } from '../support/eventually.ts';
import { call } from '../support/http.ts';
import { documentOf, type OpenApiDocument, operationsOf } from '../support/openapi.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { startServer, testRegistry } from '../support/server.ts';

let redis: TestRedis;
let server: Server;
let document: OpenApiDocument;

beforeAll(async () => {
  redis = await startRedis();
  server = await startServer(redis.url);
  await eventually(async () => (await call(`${server.url()}/readyz`)).status === 200);
  document = await documentOf(server.url());
});
afterAll(async () => {
  await server?.stop();
  await redis?.stop();
});

test('a validator of OpenAPI 3.1 finds nothing wrong', async () => {
  expect(document.openapi).toMatch(/^3\.1\./);
  type Given = Parameters<Validator['validate']>[0];
  const result = await new Validator().validate(structuredClone(document) as unknown as Given);
  expect(JSON.stringify(result.errors ?? []).slice(0, 2_000)).toBe('[]');
  expect(result.valid).toBe(true);
});

test('every operation says what it is, who may call it, and how it fails', () => {
  const operations = operationsOf(document);
  expect(operations.length).toBeGreaterThan(20);
  const ids = operations.map(({ operationId }) => operationId);
  expect(new Set(ids).size).toBe(ids.length);
  for (const { operationId, tags, summary, responses, 'x-scope': scope } of operations) {
    expect(tags, operationId).toHaveLength(1);
    expect(summary, operationId).toMatch(/^\S.*\w/);
    expect(['enqueue', 'read', 'admin', 'any', 'public'], operationId).toContain(scope);
    for (const [status, { description, content }] of Object.entries(responses)) {
      expect(description, `${operationId} ${status}`).toMatch(/\w/);
      if (Number(status) < 400) continue;
      expect(content?.['application/problem+json'], `${operationId} ${status}`).toEqual({
        schema: { $ref: '#/components/schemas/Problem' },
      });
    }
  }
});

test('the input of every task type stands in it', async () => {
  const { schemas } = document.components;
  const forms = schemas['TaskCall']?.['oneOf'] as readonly { readonly $ref: string }[];
  const types = forms.map(({ $ref }) => {
    const { properties } = schemas[$ref.split('/').at(-1) ?? ''] as {
      properties: Record<string, JsonSchema>;
    };
    return properties['type']?.['const'];
  });
  expect(new Set(types)).toEqual(new Set((await testRegistry()).keys()));
  expect(schemas['AddTask']?.['properties']).toEqual({
    type: { const: 'add' },
    input: { $ref: '#/components/schemas/AddInput' },
  });
  expect(schemas['AddInput']).toMatchObject({
    type: 'object',
    required: ['one', 'two'],
    additionalProperties: false,
  });
});

/** Every schema in the document, wherever it stands. */
function schemasIn(value: unknown, found: JsonSchema[] = []): JsonSchema[] {
  if (typeof value !== 'object' || value === null) return found;
  for (const [key, child] of Object.entries(value)) {
    if (key === 'schema') found.push(child as JsonSchema);
    else schemasIn(child, found);
  }
  return found;
}

test('every schema compiles by the rules of 2020-12, and has only keywords that the contract test reads', () => {
  const schemas = [...schemasIn(document.paths), ...Object.values(document.components.schemas)];
  expect(schemas.length).toBeGreaterThan(50);
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema({ $id: 'document', components: document.components });
  for (const schema of schemas) {
    const text = JSON.stringify(schema).replaceAll('"#/components', '"document#/components');
    expect(() => ajv.compile(JSON.parse(text) as JsonSchema), text).not.toThrow();
    for (const keyword of keywordsOf(schema)) expect(READ_KEYWORDS).toContain(keyword);
  }
});

function keywordsOf(schema: JsonSchema): string[] {
  const below = ['properties', 'items', 'anyOf', 'oneOf', 'allOf', 'additionalProperties'].flatMap((name) => {
    const value = schema[name];
    if (typeof value !== 'object' || value === null) return [];
    const children = name === 'items' || name === 'additionalProperties' ? [value] : Object.values(value);
    return (children as JsonSchema[]).flatMap(keywordsOf);
  });
  return [...Object.keys(schema), ...below];
}
