// The bodies that send tasks, as JSON Schema: the options once, and for each task type its name with the schema of its input.

import type { ErrorCode } from '../protocol/errors.ts';
import { BackoffEntries, CallSchema, OnEndEntries } from '../protocol/options.ts';
import { OF_TASKS, ScheduleSchema } from '../protocol/schedule.ts';
import { WebhookEntries } from '../protocol/webhook.ts';
import { ScheduledWorkflowSchema } from '../protocol/workflow.ts';
import type { Registry } from '../tasks/registry.ts';
import { refTo } from '../views/component.ts';
import { inputToJson, type JsonSchema, toJson } from './operation.ts';

/** Reference to the schema of one call among the components of the document. */
export const CALL: JsonSchema = { $ref: refTo('TaskRequest') };
/** The bodies by media type. */
export const CALL_BODIES = bodies(CALL);
export const SCHEDULE_BODIES = bodies({ $ref: refTo('ScheduleRequest') });

/** Error codes with which sending tasks may be refused. */
export const ENQUEUE_PROBLEMS = [
  'malformed-body',
  'invalid-query',
  'unknown-type',
  'too-large',
  'unsupported-media-type',
  'idempotency-key-reused',
  'invalid-input',
  'invalid-header',
  'quota-exceeded',
  'queue-full',
  'redis-full',
] as const satisfies readonly ErrorCode[];

function bodies(schema: JsonSchema): Readonly<Record<string, JsonSchema>> {
  return { 'application/json': schema, 'application/cbor': schema };
}

/** The components that the bodies refer to. Those of one type are small, because a fleet may have hundreds of types. */
export function callComponents(registry: Registry): Readonly<Record<string, JsonSchema>> {
  const names = componentNames([...registry.keys()]);
  const components: Record<string, JsonSchema> = {};
  for (const { type, input } of registry.values()) {
    const name = names.get(type) ?? type;
    components[`${name}Task`] = {
      type: 'object',
      properties: { type: { const: type }, input: { $ref: refTo(`${name}Input`) } },
      required: ['type', 'input'],
    };
    Object.assign(components, toComponents(`${name}Input`, inputToJson(input)));
  }
  return {
    ...components,
    TaskCall: {
      description: 'A task type and its input.',
      // The constant `type` of each distinguishes them. With a `discriminator` openapi-typescript takes the name of a schema
      // that refers to this one for another type.
      oneOf: Array.from(registry.keys(), (type) => ({ $ref: refTo(`${names.get(type) ?? type}Task`) })),
    },
    BackoffOptions: withoutDefaults(toJson(BackoffEntries)),
    WebhookOptions: toJson(WebhookEntries),
    OnEndOptions: optionsOf(toJson(OnEndEntries)),
    OnEnd: together('OnEndOptions'),
    TaskOptions: optionsOf(toJson(CallSchema)),
    TaskRequest: together('TaskOptions'),
    ScheduleOptions: optionsOf(toJson(ScheduleSchema)),
    TaskSchedule: together('ScheduleOptions'),
    ScheduledWorkflowRequest: toJson(ScheduledWorkflowSchema),
    WorkflowSchedule: workflowSchedule(),
    ScheduleRequest: { oneOf: [{ $ref: refTo('TaskSchedule') }, { $ref: refTo('WorkflowSchedule') }] },
  };
}

function together(options: string): JsonSchema {
  return {
    allOf: [{ $ref: refTo('TaskCall') }, { $ref: refTo(options) }],
    unevaluatedProperties: false,
  };
}

/** @returns a name that begins with a capital letter, for each type */
function componentNames(types: readonly string[]): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  const taken = new Set<string>();
  for (const type of types) {
    const name = pascalCase(type);
    let free = name;
    for (let count = 2; taken.has(free); count += 1) free = `${name}${count}`;
    taken.add(free);
    names.set(type, free);
  }
  return names;
}

function pascalCase(text: string): string {
  const words = text.split(/[^A-Za-z0-9]+/).filter((word) => word !== '');
  return words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
}

/** A schema whose references begin at its own root, and its definitions, as components. */
function toComponents(name: string, schema: JsonSchema): Record<string, JsonSchema> {
  const { $defs = {}, ...root } = schema as { readonly $defs?: Readonly<Record<string, JsonSchema>> };
  const nameOf = (key: string): string => `${name}${pascalCase(key)}`;
  const move = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(move);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, member]) => [key, key === '$ref' ? moveRef(member) : move(member)]),
    );
  };
  const moveRef = (ref: unknown): unknown => {
    if (typeof ref !== 'string' || !ref.startsWith('#')) return move(ref);
    const [, key, rest = ''] = /^#\/\$defs\/([^/]+)(.*)$/.exec(ref) ?? [];
    return refTo(key === undefined ? `${name}${ref.slice(1)}` : `${nameOf(key)}${rest}`);
  };
  return Object.fromEntries([
    [name, move(root) as JsonSchema],
    ...Object.entries($defs).map(([key, definition]) => [nameOf(key), move(definition) as JsonSchema]),
  ]);
}

const INSTANT: JsonSchema = {
  description: 'RFC 3339, or milliseconds since 1970',
  anyOf: [
    { type: 'string', format: 'date-time' },
    { type: 'integer', minimum: 0 },
  ],
};

/** The options beside type and input. */
function optionsOf(json: JsonSchema): JsonSchema {
  const all = json['properties'] as Readonly<Record<string, JsonSchema>>;
  const { type: _, input: __, workflow: ___, ...properties } = all;
  // The schemas of these have a check or a transformation that JSON Schema cannot express.
  const times = properties['runAt'] ? { runAt: INSTANT, expiresAt: INSTANT } : {};
  const onEnd = properties['onEnd'] ? { onEnd: { $ref: refTo('OnEnd') } } : {};
  const backoff = properties['backoff'] ? { backoff: { $ref: refTo('BackoffOptions') } } : {};
  const webhook = properties['webhook'] ? { webhook: { $ref: refTo('WebhookOptions') } } : {};
  return withoutDefaults({
    type: 'object',
    properties: { ...properties, ...times, ...onEnd, ...backoff, ...webhook },
  });
}

/** A schedule that starts a workflow: it has no options of tasks but the queue. */
function workflowSchedule(): JsonSchema {
  const all = toJson(ScheduleSchema)['properties'] as Readonly<Record<string, JsonSchema>>;
  const own = Object.entries(all).filter(([name]) => !OF_TASKS.includes(name) && name !== 'type');
  const workflow = { $ref: refTo('ScheduledWorkflowRequest') };
  return {
    ...withoutDefaults({ type: 'object', properties: { ...Object.fromEntries(own), workflow } }),
    required: ['workflow'],
    additionalProperties: false,
  };
}

/** Removes defaults: a field with a default need not be sent, but generators make a field with `default` a required one. */
function withoutDefaults(schema: JsonSchema): JsonSchema {
  const { properties } = schema as { readonly properties: Readonly<Record<string, JsonSchema>> };
  const plain = Object.entries(properties).map(([name, { default: value, ...rest }]) => {
    if (value === undefined) return [name, rest];
    const { description } = rest as { readonly description?: string };
    const text = `Default: ${JSON.stringify(value)}.`;
    return [name, { ...rest, description: description === undefined ? text : `${description} ${text}` }];
  });
  return { ...schema, properties: Object.fromEntries(plain) as Readonly<Record<string, JsonSchema>> };
}
