// Tokens that tasks wait for, completed by whoever they were given to.

import * as v from 'valibot';
import { noList, validate } from '../../protocol/validate.ts';
import { named } from '../../views/component.ts';
import { answer } from '../answer.ts';
import { readOptionalBody } from '../body.ts';
import type { Deps } from '../deps.ts';
import { findTask } from '../find-task.ts';
import { type Operation, type Route, route } from '../operation.ts';

const RequestSchema = named(
  'WaitpointRequest',
  v.strictObject(
    {
      payload: v.optional(
        v.pipe(v.unknown(), v.description('What the handler finds as `context.waited.payload`.')),
      ),
    },
    'must be an object',
  ),
);
const CompletedSchema = named(
  'CompletedWaitpoint',
  v.object({
    token: v.string(),
    task: v.pipe(v.string(), v.description('id of the task that waits for it, or will')),
    repeated: v.pipe(v.boolean(), v.description('the same payload had come before')),
  }),
);

/** `POST /v1/waitpoints/{token}`. */
export function waitpointRoutes(
  deps: Pick<Deps, 'inspector' | 'waitpoints' | 'bodyLimitBytes'>,
): readonly Route[] {
  return [
    route('POST', '/v1/waitpoints/:token', COMPLETE, async (c) => {
      const body = await readOptionalBody(c, deps.bodyLimitBytes);
      const { payload } = validate(noList(RequestSchema), body);
      const token = c.req.param('token') ?? '';
      const { task, isRepeat } = await deps.waitpoints.complete(token, payload, (id) =>
        findTask(c, deps.inspector, id),
      );
      return answer(c, 200, { token: task + token.slice(task.length), task, repeated: isRepeat });
    }),
  ];
}

const COMPLETE: Operation = {
  id: 'completeWaitpoint',
  tag: 'tasks',
  summary: 'Complete a token that a task waits for',
  description:
    'Its handler has made the token with `context.token`. It may come before the task waits for it. The same payload again is answered alike; another one is ' +
    'refused (409), and so is one that comes after the time to wait was over, or after the task has ended.',
  scope: 'enqueue',
  body: { 'application/json': RequestSchema, 'application/cbor': RequestSchema },
  isBodyOptional: true,
  answers: { 200: { description: 'The token is completed.', schema: CompletedSchema } },
  problems: [
    'not-found',
    'invalid-state',
    'malformed-body',
    'too-large',
    'unsupported-media-type',
    'invalid-input',
  ],
};
