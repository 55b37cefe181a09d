// Workflows: tasks that need each other, sent together, shown, cancelled and retried as one.

import type { Context } from 'hono';
import * as v from 'valibot';
import { PopfleetError } from '../../protocol/errors.ts';
import { noList, validate } from '../../protocol/validate.ts';
import { WorkflowSchema } from '../../protocol/workflow.ts';
import { isOverWorkflow, WORKFLOW_STATES, type WorkflowRecord } from '../../store/workflows.ts';
import { named } from '../../views/component.ts';
import {
  toWorkflowRow,
  toWorkflowView,
  WorkflowRowSchema,
  WorkflowViewSchema,
} from '../../views/workflow-view.ts';
import { answer } from '../answer.ts';
import type { AppEnv } from '../app-env.ts';
import { noteQueues } from '../audited.ts';
import { readBodyOfMany } from '../body.ts';
import { knows, visibleQueues } from '../caller.ts';
import type { Deps } from '../deps.ts';
import { findWorkflow, noWorkflow } from '../find-workflow.ts';
import { withKeyOfHeader } from '../idempotency-key.ts';
import { answerMade, madeContract } from '../made.ts';
import { type Operation, pageLimit, readQuery, ROWS_A_PAGE, type Route, route } from '../operation.ts';
import { appliedPreferences, preferencesOf, waitEntry } from '../prefer.ts';
import { senderOf } from '../sender.ts';
import { waitForRecord } from '../wait-for-record.ts';

const listEntries = {
  state: v.optional(v.picklist(WORKFLOW_STATES, `must be one of ${WORKFLOW_STATES.join(', ')}`)),
  name: v.optional(v.pipe(v.string(), v.description('Those whose name begins so, whatever the case.'))),
  limit: pageLimit('Workflows'),
  cursor: v.optional(v.pipe(v.string(), v.uuid('must be what `next` of a page said'))),
};

const oneEntries = {
  wait: waitEntry,
  results: v.optional(
    v.pipe(
      v.picklist(['true', 'false'], 'must be true or false'),
      v.description('With `false` the steps come without their results.'),
    ),
  ),
};

/** `POST` and `GET /v1/workflows`, `GET /v1/workflows/{id}`, `POST …/cancel` and `…/retry`. */
export function workflowRoutes(
  deps: Pick<Deps, 'inspector' | 'workflows' | 'acceptWorkflow' | 'waiters' | 'quota' | 'batchLimitBytes'>,
): readonly Route[] {
  const { workflows, acceptWorkflow, inspector, waiters } = deps;

  const find = (c: Context<AppEnv>): Promise<WorkflowRecord> => findWorkflow(deps, c);

  const view = async (c: Context<AppEnv>, record: WorkflowRecord, showsResults = true) =>
    toWorkflowView(record, await workflows.tasks(record.plan.steps), c.get('basePath'), showsResults);

  return [
    route('POST', '/v1/workflows', POST, async (c) => {
      const given = validate(noList(WorkflowSchema), await readBodyOfMany(c, deps.batchLimitBytes));
      const call = withKeyOfHeader(c, given);
      const { id, home, isReplayed } = await acceptWorkflow.accept(call, senderOf(c, deps.quota));
      const record = await workflows.find(id, [home]);
      if (!record)
        throw new PopfleetError('internal', 'The workflow is gone already. Is Redis being emptied?');
      const body = toWorkflowView(record, await workflows.tasks(record.plan.steps), c.get('basePath'));
      return answerMade(c, body, isReplayed);
    }),
    route('GET', '/v1/workflows', LIST, async (c) => {
      const { limit = ROWS_A_PAGE, cursor, state, name } = readQuery(c, listEntries);
      const caller = c.get('caller');
      const page = { limit, before: cursor, state, name };
      const { records, next } = await workflows.list(await visibleQueues(inspector, caller), page);
      const items = records
        .filter(({ plan }) => plan.steps.every(({ queue }) => knows(caller, queue)))
        .map((record) => toWorkflowRow(record, c.get('basePath')));
      return answer(c, 200, next === undefined ? { items } : { items, next });
    }),
    route('GET', '/v1/workflows/:workflow', GET_ONE, async (c) => {
      const { wait, results } = readQuery(c, oneEntries);
      const { waitSeconds } = preferencesOf(c, wait);
      const asked = { ms: waitSeconds * 1_000, find: workflows.find, isOver: isOverWorkflow };
      const record = await waitForRecord(c, waiters, await find(c), asked);
      if (!record) throw noWorkflow();
      const body = await view(c, record, results !== 'false');
      return answer(c, 200, body, appliedPreferences({ waitSeconds, minimal: false }));
    }),
    route('POST', '/v1/workflows/:workflow/cancel', CANCEL, async (c) => {
      const { plan } = await find(c);
      const { state } = await workflows.cancel(plan.home, plan.id);
      if (state === 'succeeded' || state === 'dead')
        throw new PopfleetError('invalid-state', `The workflow is ${state} and cannot be cancelled.`);
      noteWorkflow(c, plan);
      return answer(c, 202, await view(c, await find(c)));
    }),
    route('POST', '/v1/workflows/:workflow/retry', RETRY, async (c) => {
      const record = await find(c);
      await acceptWorkflow.retry(record);
      noteWorkflow(c, record.plan);
      return answer(c, 202, await view(c, await find(c)));
    }),
  ];
}

function noteWorkflow(c: Context<AppEnv>, { home, steps }: WorkflowRecord['plan']): void {
  noteQueues(
    c,
    home,
    steps.map(({ queue }) => queue),
  );
}

const ONE = { description: 'The workflow as it is now.', schema: WorkflowViewSchema } as const;
const RequestSchema = named('WorkflowRequest', WorkflowSchema);

const POST: Operation = {
  id: 'startWorkflow',
  tag: 'workflows',
  summary: 'Send tasks that need each other',
  description:
    'It is checked whole, and accepted whole or not at all: no step begins before all are there. A step begins when all that it needs have succeeded; what these bring it finds as `context.needs`, and its input may refer to it: `{"$from": "<step>", "path": "/a/b"}`. When one of them fails, the step is dead (`NeedFailed`), unless `onNeedFailed` says `run` or `cancel`. The same `key` finds the workflow that was made with it, as long as its record is kept.',
  ...madeContract(RequestSchema, ONE),
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
  description:
    'A page may have fewer rows than `limit` although more follow: go on with `next` as long as there is one.',
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
  description: 'With `wait` it is answered once it has ended, or the time is over.',
  scope: 'read',
  query: oneEntries,
  headers: { Prefer: '`wait=<seconds>` (RFC 7240): as the query parameter.' },
  answers: { 200: ONE },
  problems: ['not-found', 'invalid-query', 'overloaded'],
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
