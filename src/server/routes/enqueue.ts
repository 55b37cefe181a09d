// Accepting one task: the short routes `POST /{type}` and `POST /v1/tasks`.

import { type Context, Hono } from 'hono';
import { PopfleetError } from '../../protocol/errors.ts';
import type { Lane } from '../../protocol/lane.ts';
import { type Call, CallSchema } from '../../protocol/options.ts';
import type { TaskState } from '../../protocol/task-state.ts';
import type { Registry } from '../../tasks/registry.ts';
import { answer } from '../answer.ts';
import type { AppEnv } from '../app-env.ts';
import { readBody, validate } from '../body.ts';
import type { Intake } from '../../store/intake.ts';
import { prepareTask } from '../new-task.ts';
import { taskPath } from '../task-view.ts';
import { traceparentOf } from '../trace-context.ts';

export interface EnqueueParts {
  readonly registry: Registry;
  readonly intake: Intake;
  readonly bodyLimitBytes: number;
}

interface Accepted {
  readonly id: string;
  readonly type: string;
  readonly queue: string;
  /** Not told for a task that was there already: it may have gone on. */
  readonly state?: Extract<TaskState, 'ready' | 'scheduled'>;
  readonly priority: Lane;
  /** The idempotency key found a task that was made by the same request before. */
  readonly replayed?: true;
  readonly links: { readonly self: string };
}

/** `POST /v1/tasks` with `{type, input}` and the options of a call. */
export function tasksRoute(parts: EnqueueParts): Hono<AppEnv> {
  return new Hono<AppEnv>().post('/v1/tasks', async (c) => {
    const body = await readBody(c, parts.bodyLimitBytes);
    const accepted = await accept(c, parts, validate(CallSchema, body), '/input');
    return answerAccepted(c, accepted);
  });
}

/** `POST /{type}`: the path names the type, the body is the input. */
export function shortRoute(parts: EnqueueParts): Hono<AppEnv> {
  return new Hono<AppEnv>().post('/:type', async (c) => {
    const type = c.req.param('type');
    if (!parts.registry.has(type)) throw unknownType(parts.registry, type);
    const input = await readBody(c, parts.bodyLimitBytes);
    const accepted = await accept(c, parts, { type, input }, '');
    return answerAccepted(c, { message: 'task sent', ...accepted });
  });
}

function answerAccepted(c: Context<AppEnv>, accepted: Accepted & { readonly message?: string }): Response {
  const { self } = accepted.links;
  if (accepted.replayed) return answer(c, 200, accepted, { Location: self, 'Idempotent-Replayed': 'true' });
  return answer(c, 202, accepted, { Location: self });
}

async function accept(
  c: Context<AppEnv>,
  { registry, intake }: EnqueueParts,
  call: Call,
  inputPointer: string,
): Promise<Accepted> {
  const definition = registry.get(call.type);
  if (!definition) throw unknownType(registry, call.type);
  // The worker checks again and may transform: what is stored is what the caller sent.
  validate(definition.input, call.input, inputPointer);
  const { id, queue, lane, task } = prepareTask(call, definition, traceparentOf(c));
  const verdict = await intake.accept(queue, task);
  const { type } = call;
  if (verdict?.word === 'conflict') {
    throw new PopfleetError(
      'idempotency-key-reused',
      `The key was used for another request (task ${verdict.id}). Use a new key, or send the same request again.`,
      { faults: [{ pointer: '#/key', detail: 'belongs to another request' }] },
    );
  }
  if (verdict?.word === 'replayed') {
    return {
      id: verdict.id,
      type,
      queue,
      priority: lane,
      replayed: true,
      links: { self: taskPath(verdict.id) },
    };
  }
  const state = isLater(call) ? 'scheduled' : 'ready';
  return { id, type, state, queue, priority: lane, links: { self: taskPath(id) } };
}

function isLater({ delayMs, runAt }: Call): boolean {
  return (delayMs !== undefined && delayMs > 0) || (runAt !== undefined && runAt > Date.now());
}

export function unknownType(registry: Registry, type: string): PopfleetError {
  const known = [...registry.keys()].slice(0, 20).join(', ');
  return new PopfleetError(
    'unknown-type',
    `There is no task type "${type.slice(0, 64)}". Known types: ${known}.`,
  );
}
