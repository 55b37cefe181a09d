// Workflows: tasks that need each other, sent together, shown, cancelled and retried as one.

import type { Context } from 'hono';
import * as v from 'valibot';
import { PopfleetError } from '../../protocol/errors.ts';
import { readTaskId } from '../../protocol/task-id.ts';
import { noList, validate } from '../../protocol/validate.ts';
import { WorkflowSchema } from '../../protocol/workflow.ts';
import type { WorkflowRecord } from '../../store/workflows.ts';
import { named } from '../../views/component.ts';
import {
  toWorkflowRow,
  toWorkflowView,
  WorkflowRowSchema,
  WorkflowViewSchema,
} from '../../views/workflow-view.ts';
import { answer } from '../answer.ts';
import type { AppEnv } from '../app-env.ts';
import { noteForAudit } from '../audited.ts';
import { readBody } from '../body.ts';
import { knows, visibleQueues } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { keyOfHeader, sameKey } from '../idempotency-key.ts';
import { type Operation, pageLimit, readQuery, ROWS_A_PAGE, type Route, route } from '../operation.ts';
import { senderOf } from '../sender.ts';

const listEntries = {
  limit: pageLimit('Workflows'),
  cursor: v.optional(v.pipe(v.string(), v.uuid('must be what `next` of a page said'))),
};

/** `POST` and `GET /v1/workflows`, `GET /v1/workflows/{id}`, `POST …/cancel` and `…/retry`. */
export function workflowRoutes(
  deps: Pick<Deps, 'inspector' | 'workflows' | 'acceptWorkflow' | 'quota' | 'batchLimitBytes'>,
): readonly Route[] {
  const { workflows, acceptWorkflow, inspector } = deps;

  /** Whoever may not see a step does not see the workflow. */
  async function find(c: Context<AppEnv>, given = c.req.param('workflow') ?? ''): Promise<WorkflowRecord> {
    const id = readTaskId(given);
    const caller = c.get('caller');
    const found =
      id === undefined ? undefined : await workflows.find(id, await visibleQueues(inspector, caller));
    if (found?.plan.steps.every(({ queue }) => knows(caller, queue))) return found;
    throw new PopfleetError(
      'not-found',
      'There is no such workflow. Records of those that have ended are kept for a limited time only.',
    );
  }

  const view = async (c: Context<AppEnv>, record: WorkflowRecord) =>
    toWorkflowView(record, await workflows.tasks(record.plan.steps), c.get('basePath'));

  return [
    route('POST', '/v1/workflows', POST, async (c) => {
      const given = validate(noList(WorkflowSchema), await readBody(c, deps.batchLimitBytes));
      const key = sameKey(keyOfHeader(c), given.key);
      const call = key === undefined ? given : { ...given, key };
      const { id, home, isReplayed } = await acceptWorkflow.accept(call, senderOf(c, deps.quota));
      const record = await workflows.find(id, [home]);
      if (!record)
        throw new PopfleetError('internal', 'The workflow is gone already. Is Redis being emptied?');
      const body = toWorkflowView(record, await workflows.tasks(record.plan.steps), c.get('basePath'));
      const headers = { Location: body.links.self, ...c.get('rateLimit') };
      if (!isReplayed) return answer(c, 202, body, headers);
      return answer(c, 200, body, { ...headers, 'Idempotent-Replayed': 'true' });
    }),
    route('GET', '/v1/workflows', LIST, async (c) => {
      const { limit = ROWS_A_PAGE, cursor } = readQuery(c, listEntries);
      const caller = c.get('caller');
      const records = await workflows.list(await visibleQueues(inspector, caller), limit, cursor);
      const items = records
        .filter(({ plan }) => plan.steps.every(({ queue }) => knows(caller, queue)))
        .map((record) => toWorkflowRow(record, c.get('basePath')));
      const next = records.length < limit ? undefined : records.at(-1)?.plan.id;
      return answer(c, 200, next === undefined ? { items } : { items, next });
    }),
    route('GET', '/v1/workflows/:workflow', GET_ONE, async (c) =>
      answer(c, 200, await view(c, await find(c))),
    ),
    route('POST', '/v1/workflows/:workflow/cancel', CANCEL, async (c) => {
      const { plan } = await find(c);
      const { state } = await workflows.cancel(plan.home, plan.id);
      if (state === 'succeeded' || state === 'dead')
        throw new PopfleetError('invalid-state', `The workflow is ${state} and cannot be cancelled.`);
      noteForAudit(c, { queue: plan.home });
      return answer(c, 202, await view(c, await find(c)));
    }),
    route('POST', '/v1/workflows/:workflow/retry', RETRY, async (c) => {
      const record = await find(c);
      await acceptWorkflow.retry(record);
      noteForAudit(c, { queue: record.plan.home });
      return answer(c, 202, await view(c, await find(c)));
    }),
  ];
}

const ONE = { description: 'The workflow as it is now.', schema: WorkflowViewSchema } as const;
const RequestSchema = named('WorkflowRequest', WorkflowSchema);

const POST: Operation = {
  id: 'startWorkflow',
  tag: 'workflows',
  summary: 'Send tasks that need each other',
  description:
    'It is checked whole, and accepted whole or not at all: no step begins before all are there. A step begins when all that it needs have succeeded; what these bring it finds as `context.needs`, and its input may refer to it: `{"$from": "<step>", "path": "/a/b"}`. When one of them fails, the step is dead (`NeedFailed`), unless `onNeedFailed` says `run` or `cancel`. The same `key` finds the workflow that was made with it, as long as its record is kept.',
  scope: 'enqueue',
  headers: { 'Idempotency-Key': 'As `key` of the body.' },
  body: { 'application/json': RequestSchema, 'application/cbor': RequestSchema },
  answers: {
    200: { ...ONE, description: 'Its key has made it before.' },
    202: { ...ONE, description: 'It was accepted.' },
  },
  problems: [
    'malformed-body',
    'too-large',
    'unsupported-media-type',
    'invalid-input',
    'invalid-header',
    'unknown-type',
    'forbidden',
    'idempotency-key-reused',
    'quota-exceeded',
    'queue-full',
    'redis-full',
  ],
};
const LIST: Operation = {
  id: 'listWorkflows',
  tag: 'workflows',
  summary: 'Workflows, newest first',
  scope: 'read',
  query: listEntries,
  answers: {
    200: {
      description: 'A page. `next` is the cursor of the next one.',
      schema: v.object({ items: v.array(WorkflowRowSchema), next: v.exactOptional(v.string()) }),
    },
  },
  problems: ['invalid-query'],
};
const GET_ONE: Operation = {
  id: 'getWorkflow',
  tag: 'workflows',
  summary: 'One workflow, with its steps',
  scope: 'read',
  answers: { 200: ONE },
  problems: ['not-found'],
};
const CANCEL: Operation = {
  id: 'cancelWorkflow',
  tag: 'workflows',
  summary: 'Cancel all steps that have not ended',
  scope: 'admin',
  answers: { 202: { ...ONE, description: 'Its steps are being cancelled.' } },
  problems: ['not-found', 'invalid-state'],
};
const RETRY: Operation = {
  id: 'retryWorkflow',
  tag: 'workflows',
  summary: 'Run the steps again that have not succeeded',
  description:
    'Under the same ids, with all their attempts. Steps that have succeeded do not run again: what they brought is used.',
  scope: 'admin',
  answers: { 202: { ...ONE, description: 'It runs again.' } },
  problems: ['not-found', 'invalid-state', 'redis-full'],
};
