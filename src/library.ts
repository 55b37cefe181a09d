// popfleet without HTTP: for a Node program that has Redis at hand and wants to send tasks and look after them itself.

import { createLog } from './log.ts';
import { PopfleetError } from './protocol/errors.ts';
import { type Call, type CallInput, CallSchema } from './protocol/options.ts';
import { validate, validateInput } from './server/body.ts';
import { type Prepared, prepareTask } from './server/new-task.ts';
import { type TaskView, toTaskView } from './server/task-view.ts';
import { FRONT_DOOR_TIMING, openCommandConnection, whenReady } from './store/connection.ts';
import { createInspector } from './store/inspector.ts';
import { type CancelAnswer, createOperator, type ReplayAnswer } from './store/operator.ts';
import { createIntake } from './store/intake.ts';
import { createProducer, type NewTask, type Producer, type Verdict } from './store/producer.ts';
import { toRegistry } from './tasks/registry.ts';
import type { TaskDefinition } from './tasks/define.ts';

/** Options of one task, as `POST /v1/tasks` takes them beside type and input. */
export type TaskOptions = Omit<CallInput, 'type' | 'input'>;

/** One task of `enqueueMany`. */
export type ManyTask = TaskOptions & { readonly type: string; readonly input: unknown };

export interface Sent {
  readonly id: string;
  /** True when the idempotency key found a task that was made by the same request before. */
  readonly replayed: boolean;
}

/** @throws PopfleetError from every method; `redis-unavailable` when Redis does not answer */
export interface Popfleet {
  /** Resolves once Redis has the task. @throws PopfleetError `unknown-type`, `invalid-input`, `idempotency-key-reused` */
  enqueue(type: string, input: unknown, options?: TaskOptions): Promise<Sent>;
  /**
   * Sends many tasks in few calls. All of them are checked before the first is sent.
   * @returns what became of each, in their order
   * @throws PopfleetError as `enqueue` does, with the place of each wrong task (`#/3/input`); `idempotency-key-reused` and
   *   `redis-unavailable` may come after some were accepted
   */
  enqueueMany(tasks: readonly ManyTask[]): Promise<Sent[]>;
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
/** Tasks of `enqueueMany` that go in one call. */
const TASKS_A_CALL = 250;

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

  const intake = createIntake(producer);

  await whenReady(command, OPEN_WITHIN_MS);

  /** @param at JSON Pointer of the call within what the caller gave */
  function check(type: string, input: unknown, options: TaskOptions | undefined, at: string): Checked {
    const definition = registry.get(type);
    if (!definition) throw new PopfleetError('unknown-type', `There is no task type "${type}".`);
    const call = options ? validate(CallSchema, { ...options, type, input }, at) : { type, input };
    validateInput(definition.input, input, `${at}/input`);
    return { call, definition };
  }

  async function queueOf(id: string): Promise<string | undefined> {
    return (await inspector.task(id))?.queue;
  }

  return {
    async enqueue(type, input, options) {
      const { call, definition } = check(type, input, options, '');
      const { id, queue, task } = prepareTask(call, definition, undefined);
      return toSent(id, await intake.accept(queue, task));
    },

    async enqueueMany(many) {
      const checked = many.map(({ type, input, ...options }, at) =>
        check(type, input, hasFields(options) ? options : undefined, `/${at}`),
      );
      const sending: Promise<Sent[]>[] = [];
      for (let from = 0; from < checked.length; from += TASKS_A_CALL) {
        sending.push(sendSome(producer, checked.slice(from, from + TASKS_A_CALL)));
      }
      return (await Promise.all(sending)).flat();
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

/** A call that was checked. */
interface Checked {
  readonly call: Call;
  readonly definition: TaskDefinition;
}

/** Sends tasks in one call a queue; begins at once, so that Redis works while the next ones are prepared. */
async function sendSome(producer: Producer, checked: readonly Checked[]): Promise<Sent[]> {
  const prepared = checked.map(({ call, definition }) => prepareTask(call, definition, undefined));
  const sent: Sent[] = [];
  const calls = [...new Set(prepared.map(({ queue }) => queue))].map(async (queue) => {
    const places = [...prepared.keys()].filter((at) => prepared[at]?.queue === queue);
    const tasks = places.map((at) => (prepared[at] as Prepared).task);
    const verdicts = await producer.enqueue(queue, tasks);
    for (const [position, at] of places.entries()) {
      sent[at] = toSent((tasks[position] as NewTask).id, verdicts.get(position));
    }
  });
  await Promise.all(calls);
  return sent;
}

function toSent(id: string, verdict: Verdict | undefined): Sent {
  if (verdict?.word === 'conflict') {
    throw new PopfleetError(
      'idempotency-key-reused',
      `The key was used for another request (task ${verdict.id}).`,
    );
  }
  return { id: verdict?.id ?? id, replayed: verdict !== undefined };
}

function hasFields(value: object): boolean {
  for (const _ in value) return true;
  return false;
}
