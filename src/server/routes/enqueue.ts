// Accepting one task: the short routes `POST /{type}` and `POST /v1/tasks`.

import { Hono } from 'hono';
import * as v from 'valibot';
import { PopfleetError } from '../../protocol/errors.ts';
import { DEFAULT_LANE, LANES, type Lane } from '../../protocol/lane.ts';
import { encodeMessage } from '../../protocol/message.ts';
import { DEFAULT_QUEUE, QUEUE_NAME } from '../../protocol/names.ts';
import { newTaskId } from '../../protocol/task-id.ts';
import type { Registry } from '../../tasks/registry.ts';
import { answer } from '../answer.ts';
import type { AppEnv } from '../app-env.ts';
import { readBody, validate } from '../body.ts';
import type { Intake } from '../intake.ts';
import { taskPath } from '../task-view.ts';

export interface EnqueueParts {
  readonly registry: Registry;
  readonly intake: Intake;
  readonly bodyLimitBytes: number;
}

const TaskRequest = v.strictObject({
  type: v.string(),
  // Present, whatever it is: the schema of the type decides.
  input: v.unknown(),
  queue: v.optional(
    v.pipe(v.string(), v.regex(QUEUE_NAME, `must match ${QUEUE_NAME.source}`)),
    DEFAULT_QUEUE,
  ),
  priority: v.optional(v.picklist(LANES, `must be one of ${LANES.join(', ')}`), DEFAULT_LANE),
});

interface Accepted {
  readonly id: string;
  readonly type: string;
  readonly state: 'ready';
  readonly queue: string;
  readonly priority: Lane;
  readonly links: { readonly self: string };
}

/** `POST /v1/tasks` with `{type, input, queue?, priority?}`. */
export function tasksRoute(parts: EnqueueParts): Hono<AppEnv> {
  return new Hono<AppEnv>().post('/v1/tasks', async (c) => {
    const body = await readBody(c, parts.bodyLimitBytes);
    const request = validate(TaskRequest, body);
    const accepted = await accept(parts, request, '/input');
    c.header('Location', taskPath(accepted.id));
    return answer(c, 202, accepted);
  });
}

/** `POST /{type}`: the path names the type, the body is the input. */
export function shortRoute(parts: EnqueueParts): Hono<AppEnv> {
  return new Hono<AppEnv>().post('/:type', async (c) => {
    const type = c.req.param('type');
    if (!parts.registry.has(type)) throw unknownType(parts.registry, type);
    const input = await readBody(c, parts.bodyLimitBytes);
    const request = { type, input, queue: DEFAULT_QUEUE, priority: DEFAULT_LANE };
    const accepted = await accept(parts, request, '');
    c.header('Location', taskPath(accepted.id));
    return answer(c, 202, { message: 'task sent', ...accepted });
  });
}

async function accept(
  parts: EnqueueParts,
  request: v.InferOutput<typeof TaskRequest>,
  inputPointer: string,
): Promise<Accepted> {
  const { type, queue, priority } = request;
  const definition = parts.registry.get(type);
  if (!definition) throw unknownType(parts.registry, type);
  // The worker checks again and may transform: what is stored is what the caller sent.
  validate(definition.input, request.input, inputPointer);
  const id = newTaskId();
  const message = encodeMessage(id, type, request.input);
  await parts.intake.accept(queue, { message, lane: priority, delayMs: 0 });
  return { id, type, state: 'ready', queue, priority, links: { self: taskPath(id) } };
}

function unknownType(registry: Registry, type: string): PopfleetError {
  const known = [...registry.keys()].slice(0, 20).join(', ');
  return new PopfleetError(
    'unknown-type',
    `There is no task type "${type.slice(0, 64)}". Known types: ${known}.`,
  );
}
