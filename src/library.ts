// popfleet without HTTP: for a Node program that has Redis at hand and wants to send tasks and look after them itself.

import { createLog } from './log.ts';
import { PopfleetError } from './protocol/errors.ts';
import { type CallInput, CallSchema } from './protocol/options.ts';
import { validate } from './server/body.ts';
import { prepareTask } from './server/new-task.ts';
import { type TaskView, toTaskView } from './server/task-view.ts';
import { FRONT_DOOR_TIMING, openCommandConnection, whenReady } from './store/connection.ts';
import { createInspector } from './store/inspector.ts';
import { type CancelAnswer, createOperator, type ReplayAnswer } from './store/operator.ts';
import { createProducer } from './store/producer.ts';
import { toRegistry } from './tasks/registry.ts';
import type { TaskDefinition } from './tasks/define.ts';

/** Options of one task, as `POST /v1/tasks` takes them beside type and input. */
export type TaskOptions = Omit<CallInput, 'type' | 'input'>;

export interface Sent {
  readonly id: string;
  /** True when the idempotency key found a task that was made by the same request before. */
  readonly replayed: boolean;
}

/** @throws PopfleetError from every method; `redis-unavailable` when Redis does not answer */
export interface Popfleet {
  /** Resolves once Redis has the task. @throws PopfleetError `unknown-type`, `invalid-input`, `idempotency-key-reused` */
  enqueue(type: string, input: unknown, options?: TaskOptions): Promise<Sent>;
  /** The task as it is now; `undefined` when there is none, or none any more. */
  get(id: string): Promise<TaskView | undefined>;
  cancel(id: string): Promise<CancelAnswer>;
  /** Runs a dead task again with a fresh budget. */
  retry(id: string): Promise<ReplayAnswer>;
  close(): void;
}

export interface PopfleetSettings {
  /** `redis://`, `rediss://`, or the path of a unix socket. */
  readonly redisUrl: string;
  readonly tasks: readonly TaskDefinition[];
  /** A level of pino; `warn` unless told otherwise. */
  readonly logLevel?: string;
}

const OPEN_WITHIN_MS = 2_000;

/**
 * Opens a connection that reconnects by itself; calls fail while Redis is away. Resolves once it is there, or after two
 * seconds without it.
 * @throws PopfleetError `bad-definition` when two definitions have one type
 */
export async function openPopfleet({
  redisUrl,
  tasks,
  logLevel = 'warn',
}: PopfleetSettings): Promise<Popfleet> {
  const registry = toRegistry(tasks.map((definition) => ({ definition, source: 'the list of tasks' })));
  const log = createLog(logLevel, { role: 'library' });
  const command = openCommandConnection({ url: redisUrl, log }, 'library', FRONT_DOOR_TIMING);
  const producer = createProducer(command);
  const inspector = createInspector(command);
  const operator = createOperator(command);

  await whenReady(command, OPEN_WITHIN_MS);

  async function queueOf(id: string): Promise<string | undefined> {
    return (await inspector.task(id))?.queue;
  }

  return {
    async enqueue(type, input, options = {}) {
      const definition = registry.get(type);
      if (!definition) throw new PopfleetError('unknown-type', `There is no task type "${type}".`);
      const call = validate(CallSchema, { ...options, type, input });
      validate(definition.input, input, '/input');
      const { id, queue, task } = prepareTask(call, definition, undefined);
      const verdict = (await producer.enqueue(queue, [task])).get(0);
      if (verdict?.word === 'conflict') {
        throw new PopfleetError(
          'idempotency-key-reused',
          `The key was used for another request (task ${verdict.id}).`,
        );
      }
      return { id: verdict?.id ?? id, replayed: verdict !== undefined };
    },

    async get(id) {
      const record = await inspector.task(id);
      return record && toTaskView(record, await inspector.attempts(record.queue, id), registry);
    },

    async cancel(id) {
      const queue = await queueOf(id);
      return queue === undefined ? 'unknown' : operator.cancel(queue, id);
    },

    async retry(id) {
      const queue = await queueOf(id);
      return queue === undefined ? 'unknown' : operator.replay(queue, id);
    },

    close() {
      command.disconnect();
    },
  };
}
