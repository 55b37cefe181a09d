// Registered endpoints of webhooks: who is told when tasks have ended, with what secret, and what came of it.

import { randomBytes } from 'node:crypto';
import type { Context } from 'hono';
import * as v from 'valibot';
import { compact } from '../../protocol/compact.ts';
import { PopfleetError } from '../../protocol/errors.ts';
import { DEFAULT_LANE } from '../../protocol/lane.ts';
import { QUEUE_NAME, TASK_TYPE } from '../../protocol/names.ts';
import { newTaskId, readTaskId } from '../../protocol/task-id.ts';
import { isTerminal } from '../../protocol/task-state.ts';
import { toOptionalTime, toTime } from '../../protocol/time-text.ts';
import { invalidInput, validate } from '../../protocol/validate.ts';
import { KindsSchema, WEBHOOK_QUEUE, webhookEntries } from '../../protocol/webhook.ts';
import { type Endpoint, MOST_ENDPOINTS, type SigningSecret } from '../../store/webhook-endpoints.ts';
import { named } from '../../views/component.ts';
import {
  AttemptsSchema,
  EndpointSchema,
  NewEndpointSchema,
  toEndpointView,
} from '../../views/endpoint-view.ts';
import { contentSentAgain, testContent } from '../../webhooks/delivery.ts';
import { rotated } from '../../webhooks/rotation.ts';
import { createSecret } from '../../webhooks/signature.ts';
import { answer, respond } from '../answer.ts';
import type { AppEnv } from '../app-env.ts';
import { readBody } from '../body.ts';
import type { Caller } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { type Operation, type Route, route } from '../operation.ts';

const MOST_NAMES = 100;

function names(pattern: RegExp) {
  return v.pipe(
    v.array(v.pipe(v.string(), v.regex(pattern, `must match ${pattern.source}`)), 'must be a list'),
    v.minLength(1, 'must have at least one entry'),
    v.maxLength(MOST_NAMES, `must have at most ${MOST_NAMES} entries`),
  );
}

const RequestSchema = named(
  'WebhookEndpointRequest',
  v.strictObject({
    ...webhookEntries,
    kinds: v.optional(
      v.pipe(KindsSchema, v.description('What it is told of: ends of tasks alone, unless given.')),
    ),
    types: v.optional(names(TASK_TYPE)),
    queues: v.optional(names(QUEUE_NAME)),
    disabled: v.optional(
      v.pipe(
        v.boolean('must be true or false'),
        v.description('Nothing is sent. Stays as it is unless given.'),
      ),
    ),
  }),
);
type Request = v.InferOutput<typeof RequestSchema>;

const SecretsSchema = named(
  'WebhookSecrets',
  v.object({
    items: v.array(v.object({ secret: v.string(), until: v.exactOptional(v.string()) })),
  }),
);
type WebhookDeps = Pick<Deps, 'endpoints' | 'guard' | 'accept' | 'inspector' | 'bodyLimitBytes'>;

/** Everything under `/v1/webhooks`. */
export function webhookRoutes(deps: WebhookDeps): readonly Route[] {
  return [...secretRoutes(deps), ...endpointRoutes(deps), ...deliveryRoutes(deps)];
}

function endpointRoutes(deps: WebhookDeps): readonly Route[] {
  const { endpoints } = deps;

  async function readRequest(c: Context<AppEnv>): Promise<Request> {
    const request = validate(RequestSchema, await readBody(c, deps.bodyLimitBytes));
    const fault = deps.guard.faultOf(request.url);
    if (fault !== undefined) throw invalidInput([{ pointer: '#/url', detail: fault }]);
    demandQueues(c.get('caller'), request.queues);
    return request;
  }

  async function setDisabled(id: string, disabled: boolean | undefined): Promise<void> {
    if (disabled !== undefined) await endpoints.disable(id, disabled ? 'it was disabled by hand' : undefined);
  }

  return [
    route('GET', '/v1/webhooks', LIST, async (c) => {
      const all = await endpoints.list();
      return answer(c, 200, {
        items: all.filter((one) => mayManage(c.get('caller'), one)).map(toEndpointView),
      });
    }),
    route('POST', '/v1/webhooks', ADD, async (c) => {
      const { disabled, ...definition } = await readRequest(c);
      const secret = createSecret();
      const id = `wh_${randomBytes(12).toString('hex')}`;
      const endpoint = { ...definition, id, createdAt: Date.now(), secrets: [{ secret }] };
      if (!(await endpoints.add(endpoint))) {
        const detail = `There are ${MOST_ENDPOINTS} endpoints already. Delete one, or give one more types and queues.`;
        throw new PopfleetError('invalid-state', detail);
      }
      await setDisabled(id, disabled);
      const location = { Location: `${c.get('basePath')}/v1/webhooks/${id}` };
      return answer(c, 201, { ...toEndpointView((await endpoints.find(id)) ?? endpoint), secret }, location);
    }),
    route('GET', '/v1/webhooks/:id', GET_ONE, async (c) =>
      answer(c, 200, toEndpointView(await find(c, deps))),
    ),
    route('PUT', '/v1/webhooks/:id', PUT, async (c) => {
      const before = await find(c, deps);
      const { id, createdAt, secrets } = before;
      const { disabled, ...definition } = await readRequest(c);
      await endpoints.replace(before, { ...definition, id, createdAt, secrets });
      await setDisabled(id, disabled);
      return answer(c, 200, toEndpointView(await find(c, deps)));
    }),
    route('DELETE', '/v1/webhooks/:id', REMOVE, async (c) => {
      await endpoints.remove((await find(c, deps)).id);
      return respond(c, 204, null, {});
    }),
    route('POST', '/v1/webhooks/:id/rotate', ROTATE, async (c) => {
      const endpoint = await find(c, deps);
      const secrets = rotated(endpoint.secrets, createSecret(), Date.now());
      await endpoints.replace(endpoint, { ...endpoint, secrets });
      return answer(c, 200, { ...toEndpointView({ ...endpoint, secrets }), secret: secrets[0]?.secret });
    }),
  ];
}

/** The secret of webhooks that calls and types ask for. */
function secretRoutes({ endpoints }: WebhookDeps): readonly Route[] {
  const view = (secrets: readonly SigningSecret[]): object => ({
    items: secrets.map(({ secret, until }) => compact({ secret, until: toOptionalTime(until) })),
  });
  return [
    route('GET', '/v1/webhooks/secret', GET_SECRET, async (c) => {
      demandQueues(c.get('caller'), undefined);
      return answer(c, 200, view(await endpoints.shared(createSecret)));
    }),
    route('POST', '/v1/webhooks/secret/rotate', ROTATE_SECRET, async (c) => {
      demandQueues(c.get('caller'), undefined);
      const before = await endpoints.shared(createSecret);
      const secrets = rotated(before, createSecret(), Date.now());
      await endpoints.replaceShared(before, secrets);
      return answer(c, 200, view(secrets));
    }),
  ];
}

function deliveryRoutes(deps: WebhookDeps): readonly Route[] {
  const { endpoints, accept, inspector } = deps;

  async function deliver(c: Context<AppEnv>, content: Buffer): Promise<Response> {
    const task = { id: newTaskId(), content, lane: DEFAULT_LANE };
    await accept.send({ queue: WEBHOOK_QUEUE, state: 'ready', task });
    return answer(c, 202, { id: task.id }, { Location: `${c.get('basePath')}/v1/tasks/${task.id}` });
  }

  return [
    route('POST', '/v1/webhooks/:id/test', TEST, async (c) => {
      const endpoint = await find(c, deps);
      if (endpoint.disabled) {
        throw new PopfleetError(
          'invalid-state',
          `The endpoint is disabled (${endpoint.disabled.reason}): enable it first.`,
        );
      }
      return deliver(c, testContent(endpoint));
    }),
    route('GET', '/v1/webhooks/:id/deliveries', LIST_DELIVERIES, async (c) => {
      const attempts = await endpoints.attempts((await find(c, deps)).id);
      return answer(c, 200, { items: attempts.map((one) => Object.assign({}, one, { at: toTime(one.at) })) });
    }),
    route('POST', '/v1/webhooks/:id/deliveries/:delivery/resend', RESEND, async (c) => {
      const { id: endpoint } = await find(c, deps);
      const delivery = readTaskId(c.req.param('delivery') ?? '');
      const record = delivery && (await inspector.task(delivery, new Set([WEBHOOK_QUEUE])));
      const content = record && contentSentAgain(record, endpoint);
      if (!content) {
        throw new PopfleetError(
          'not-found',
          'There is no such delivery of this endpoint. Finished ones are kept for a limited time only.',
        );
      }
      if (!isTerminal(record.state)) {
        throw new PopfleetError('invalid-state', `The delivery is ${record.state}: it is still being sent.`);
      }
      return deliver(c, content);
    }),
  ];
}

/** @throws PopfleetError `not-found` also for one that tells of queues which the key is not for */
async function find(c: Context<AppEnv>, { endpoints }: WebhookDeps): Promise<Endpoint> {
  const id = c.req.param('id') ?? '';
  const endpoint = /^wh_[0-9a-f]{24}$/.test(id) ? await endpoints.find(id) : undefined;
  if (endpoint && mayManage(c.get('caller'), endpoint)) return endpoint;
  throw new PopfleetError('not-found', 'There is no such endpoint. GET /v1/webhooks lists them.');
}

/** A key that is for some queues manages the endpoints that are told of these alone. */
function mayManage({ queues }: Caller, endpoint: Pick<Endpoint, 'queues'>): boolean {
  return queues === undefined || (endpoint.queues?.every((one) => queues.has(one)) ?? false);
}

function demandQueues(caller: Caller, queues: readonly string[] | undefined): void {
  if (mayManage(caller, { queues })) return;
  const own = [...(caller.queues ?? [])].slice(0, 10).join(', ');
  throw new PopfleetError(
    'forbidden',
    `This key is for some queues only: name some of these in \`queues\`: ${own}.`,
  );
}

const ON_ENDPOINTS = { tag: 'webhooks', scope: 'admin' } as const;
const BODY = { 'application/json': RequestSchema, 'application/cbor': RequestSchema };
const BODY_PROBLEMS = ['malformed-body', 'too-large', 'unsupported-media-type', 'invalid-input'] as const;
const ON_ITS_WAY = {
  202: {
    description: 'A new delivery is on its way.',
    schema: named(
      'WebhookDelivery',
      v.object({ id: v.pipe(v.string(), v.description('id of the task that delivers')) }),
    ),
  },
} as const;
const ONE = { 200: { description: 'The endpoint.', schema: EndpointSchema } } as const;

const LIST: Operation = {
  ...ON_ENDPOINTS,
  id: 'listWebhooks',
  summary: 'Endpoints that are told when tasks have ended',
  answers: {
    200: { description: 'The oldest first.', schema: v.object({ items: v.array(EndpointSchema) }) },
  },
};
const ADD: Operation = {
  ...ON_ENDPOINTS,
  id: 'addWebhook',
  summary: 'Register an endpoint',
  description:
    'It is told of tasks that are accepted from two seconds later on. What it is sent is signed with its secret (Standard Webhooks).',
  body: BODY,
  answers: { 201: { description: 'It is registered.', schema: NewEndpointSchema } },
  problems: [...BODY_PROBLEMS, 'invalid-state', 'redis-full'],
};
const GET_ONE: Operation = {
  ...ON_ENDPOINTS,
  id: 'getWebhook',
  summary: 'One endpoint',
  answers: ONE,
  problems: ['not-found'],
};
const PUT: Operation = {
  ...ON_ENDPOINTS,
  id: 'putWebhook',
  summary: 'Change an endpoint',
  description: 'Also where what waits to be delivered goes. Its secret stays.',
  body: BODY,
  answers: ONE,
  problems: [...BODY_PROBLEMS, 'not-found', 'changed-meanwhile', 'redis-full'],
};
const REMOVE: Operation = {
  ...ON_ENDPOINTS,
  id: 'deleteWebhook',
  summary: 'Delete an endpoint',
  answers: { 204: { description: 'It is gone. What waits to be delivered to it fails.' } },
  problems: ['not-found'],
};
const ROTATE: Operation = {
  ...ON_ENDPOINTS,
  id: 'rotateWebhookSecret',
  summary: 'Give an endpoint a new secret',
  description: 'For a day both secrets sign: the receiver takes the new one in that time.',
  answers: { 200: { description: 'The endpoint with its new secret.', schema: NewEndpointSchema } },
  problems: ['not-found', 'changed-meanwhile', 'redis-full'],
};
const GET_SECRET: Operation = {
  ...ON_ENDPOINTS,
  id: 'getSharedWebhookSecret',
  summary: 'What signs the webhooks that calls and task types ask for',
  description: 'For keys that are for all queues.',
  answers: { 200: { description: 'The newest first.', schema: SecretsSchema } },
  problems: ['redis-full'],
};
const ROTATE_SECRET: Operation = {
  ...ON_ENDPOINTS,
  id: 'rotateSharedWebhookSecret',
  summary: 'A new secret for the webhooks that calls and task types ask for',
  description: 'For a day both secrets sign.',
  answers: { 200: { description: 'The newest first.', schema: SecretsSchema } },
  problems: ['changed-meanwhile', 'redis-full'],
};
const LIST_DELIVERIES: Operation = {
  ...ON_ENDPOINTS,
  id: 'listWebhookDeliveries',
  summary: 'What came of the latest attempts to reach an endpoint',
  answers: { 200: { description: 'The latest first, a hundred at most.', schema: AttemptsSchema } },
  problems: ['not-found'],
};
const RESEND: Operation = {
  ...ON_ENDPOINTS,
  id: 'resendWebhook',
  summary: 'Send a message again that has arrived, or was given up',
  description: 'Under the same `webhook-id`, so that a receiver knows one that it has.',
  answers: ON_ITS_WAY,
  problems: ['not-found', 'invalid-state', 'redis-full'],
};
const TEST: Operation = {
  ...ON_ENDPOINTS,
  id: 'testWebhook',
  summary: 'Send an endpoint a message that is about nothing',
  description:
    'It has the type `webhook.test`, is signed as others are, and has one attempt. `GET /v1/tasks/{id}?wait=15` with the id of the answer says what came of it.',
  answers: ON_ITS_WAY,
  problems: ['not-found', 'invalid-state', 'redis-full'],
};
