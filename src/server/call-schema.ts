// What sends tasks, as JSON Schema: one form for each task type, with the schema of its input.

import { BackoffEntries, CallSchema } from '../protocol/options.ts';
import { ScheduleSchema } from '../protocol/schedule.ts';
import type { TaskDefinition } from '../tasks/define.ts';
import type { Registry } from '../tasks/registry.ts';
import { inputToJson, type JsonSchema, toJson } from './operation.ts';

/** One call: the schema stands among the components of the document. */
export const CALL: JsonSchema = { $ref: '#/components/schemas/Call' };
/** By media type. */
export const CALL_BODIES = bodies(CALL);
export const SCHEDULE_BODIES = bodies({ $ref: '#/components/schemas/Schedule' });

/** The components that the bodies refer to. */
export function callComponents(registry: Registry): Readonly<Record<'Call' | 'Schedule', JsonSchema>> {
  return {
    Call: oneForEachType(toJson(CallSchema), registry),
    Schedule: oneForEachType(toJson(ScheduleSchema), registry),
  };
}

function bodies(schema: JsonSchema): Readonly<Record<string, JsonSchema>> {
  return { 'application/json': schema, 'application/cbor': schema };
}

const INSTANT: JsonSchema = {
  description: 'RFC 3339, or milliseconds since 1970',
  anyOf: [
    { type: 'string', format: 'date-time' },
    { type: 'integer', minimum: 0 },
  ],
};

function oneForEachType(json: JsonSchema, registry: Registry): JsonSchema {
  const { properties, ...object } = json as { properties: Readonly<Record<string, JsonSchema>> };
  // Of these a check or a transformation says more than their schema can.
  const backoff = toJson(BackoffEntries);
  const times = properties['runAt'] ? { runAt: INSTANT, expiresAt: INSTANT } : {};
  const formOf = ({ type, input }: TaskDefinition): JsonSchema => ({
    ...object,
    title: type,
    properties: { ...properties, ...times, backoff, type: { const: type }, input: inputToJson(input) },
  });
  return { oneOf: Array.from(registry.values(), formOf) };
}
