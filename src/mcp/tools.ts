// The tools: one for each operation of the server's document that a model may call, with its name, words and schema.

import {
  type ApiDocument,
  type ApiOperation,
  type JsonSchema,
  operationsOf,
  resolveSchema,
} from './api-document.ts';

/** Webhooks are not among them: their answers hold secrets. Neither is what belongs to browsers, or to Prometheus. */
const TAGS: ReadonlySet<string> = new Set([
  'tasks',
  'queues',
  'workflows',
  'batches',
  'operations',
  'schedules',
  'service',
]);
/** Operations that only add, or that another one takes back. What else is no `GET` may take away what was there. */
const ADDITIVE: ReadonlySet<string> = new Set([
  'sendTask',
  'sendTasks',
  'retryTask',
  'completeWaitpoint',
  'startWorkflow',
  'retryWorkflow',
  'openBatch',
  'addToBatch',
  'closeBatch',
  'ignoreError',
  'heedError',
  'pauseQueue',
  'resumeQueue',
  'runSchedule',
  'quietWorker',
  'resumeWorker',
  'pauseSchedule',
  'resumeSchedule',
]);
/** Operations that change nothing although they are no `GET`. */
const HARMLESS: ReadonlySet<string> = new Set(['checkTask', 'checkSchedule']);
/** Changes nothing while its body has `dryRun`. */
const WITH_DRY_RUN = 'startOperation';

export interface ApiTool {
  readonly operation: ApiOperation;
  /** In the form of `tools/list`. */
  readonly listed: {
    readonly name: string;
    readonly title: string;
    readonly description: string;
    readonly inputSchema: JsonSchema & { readonly type: 'object' };
    readonly annotations: {
      readonly readOnlyHint: boolean;
      readonly destructiveHint: boolean;
      readonly idempotentHint: boolean;
      readonly openWorldHint: false;
    };
  };
  /** Whether it may be called without `--allow-writes`; with these arguments, where they decide. */
  mayRead(args: Readonly<Record<string, unknown>>): boolean;
}

/** @param allowWrites whether tools that change something are among them */
export function toolsOf(document: ApiDocument, allowWrites: boolean): readonly ApiTool[] {
  return allToolsOf(document, allowWrites).filter(
    ({ operation, mayRead }) => allowWrites || mayRead({}) || operation.operationId === WITH_DRY_RUN,
  );
}

/** @param allowWrites decides how they are described */
export function allToolsOf(document: ApiDocument, allowWrites: boolean): readonly ApiTool[] {
  return operationsOf(document)
    .filter(isForTools)
    .map((operation) => toTool(operation, document, allowWrites));
}

function isForTools({ path, tags, method, responses, requestBody }: ApiOperation): boolean {
  const answers = Object.entries(responses).filter(([status]) => status.startsWith('2'));
  const isJson = answers.every(([, { content }]) => content === undefined || 'application/json' in content);
  const takesJson = requestBody === undefined || 'application/json' in requestBody.content;
  const isCaller = path === '/v1/session' && method === 'GET';
  return path.startsWith('/v1/') && (isCaller || tags.some((tag) => TAGS.has(tag))) && isJson && takesJson;
}

function toTool(operation: ApiOperation, document: ApiDocument, allowWrites: boolean): ApiTool {
  const { operationId, method, summary, description, 'x-scope': scope } = operation;
  const hasDryRun = operationId === WITH_DRY_RUN;
  const isRead = method === 'GET' || HARMLESS.has(operationId);
  const isDryRunAlone = hasDryRun && !allowWrites;
  const needs = scope === 'any' ? '' : ` Needs a key with the scope "${scope}".`;
  return {
    operation,
    listed: {
      name: operationId,
      title: summary,
      description: `${summary}.${description === undefined ? '' : ` ${description}`}${needs}`,
      inputSchema: inputOf(operation, document, isDryRunAlone),
      annotations: {
        readOnlyHint: isRead || isDryRunAlone,
        destructiveHint: !(isRead || isDryRunAlone || ADDITIVE.has(operationId)),
        idempotentHint: isRead || method === 'PUT' || method === 'DELETE',
        openWorldHint: false,
      },
    },
    mayRead: (args) => isRead || (hasDryRun && isDryRun(args['body'])),
  };
}

function isDryRun(body: unknown): boolean {
  return typeof body === 'object' && body !== null && 'dryRun' in body && body.dryRun === true;
}

/** Parameters of path and query by their names, and the body as `body`: its members may have the names of parameters. */
function inputOf(
  operation: ApiOperation,
  document: ApiDocument,
  isDryRunAlone: boolean,
): JsonSchema & { readonly type: 'object' } {
  const { parameters, requestBody } = operation;
  const named = parameters.filter((parameter) => parameter.in !== 'header');
  const properties: Record<string, JsonSchema> = Object.fromEntries(
    named.map(({ name, description, schema }) => [
      name,
      { ...resolveSchema(schema, document), ...(description === undefined ? {} : { description }) },
    ]),
  );
  const required = named.filter((parameter) => parameter.required).map(({ name }) => name);
  const body = requestBody?.content['application/json']?.schema;
  if (isWholeList(operation, document)) properties['skip'] = SKIP;
  if (body) properties['body'] = withDryRun(resolveSchema(body, document), isDryRunAlone);
  if (requestBody?.required) required.push('body');
  return { type: 'object', properties, required, additionalProperties: false };
}

const SKIP: JsonSchema = {
  type: 'integer',
  minimum: 0,
  description: 'Leaves out so many of the first items: an answer that is too long says where it goes on.',
};

/** Whether it answers all items at once: what has pages has a limit. */
function isWholeList({ method, parameters, responses }: ApiOperation, document: ApiDocument): boolean {
  const schema = responses['200']?.content?.['application/json']?.schema;
  if (method !== 'GET' || schema === undefined || parameters.some(({ name }) => name === 'limit'))
    return false;
  const forms = [schema, ...((schema['anyOf'] ?? []) as readonly JsonSchema[])];
  return forms.some((form) => {
    const { properties } = resolveSchema(form, document) as { readonly properties?: object };
    return properties !== undefined && 'items' in properties;
  });
}

function withDryRun(body: JsonSchema, isDryRunAlone: boolean): JsonSchema {
  if (!isDryRunAlone) return body;
  const { confirm: _, ...properties } = body['properties'] as Record<string, JsonSchema>;
  const dryRun = { ...properties['dryRun'], const: true };
  const required = [...((body['required'] ?? []) as readonly string[]), 'dryRun'];
  return { ...body, properties: { ...properties, dryRun }, required };
}
