// popfleet without HTTP: for a Node program that has Redis at hand and wants to send tasks and look after them itself.

import * as v from 'valibot';
import { createLog, LOG_LEVELS } from './log.ts';
import { type FieldFault, PopfleetError } from './protocol/errors.ts';
import { type Call, type CallInput, CallSchema } from './protocol/options.ts';
import { readPlain } from './protocol/plain-value.ts';
import { readTaskId } from './protocol/task-id.ts';
import { validate, validateInput } from './server/body.ts';
import { type Prepared, prepareTask } from './server/new-task.ts';
import { type TaskView, toTaskView } from './server/task-view.ts';
import { FRONT_DOOR_TIMING, openCommandConnection, whenReady } from './store/connection.ts';
import { createInspector } from './store/inspector.ts';
import { type CancelAnswer, createOperator, type ReplayAnswer } from './store/operator.ts';
import type { TaskRecord } from './store/record.ts';
import { createIntake } from './store/intake.ts';
import { faultOfRedisUrl } from './store/redis-url.ts';
import { createProducer, type NewTask, type Producer, type Verdict } from './store/producer.ts';
import { toRegistry } from './tasks/registry.ts';
import { isTaskDefinition, type TaskDefinition } from './tasks/define.ts';

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

const SettingsSchema = v.strictObject(
  {
    redisUrl: v.pipe(
      v.string('must be text'),
      v.minLength(1, 'is missing'),
      v.rawCheck(({ dataset, addIssue }) => {
        const fault = dataset.typed ? faultOfRedisUrl(dataset.value) : undefined;
        if (fault !== undefined) addIssue({ message: fault });
      }),
    ),
    tasks: v.array(
      v.custom<TaskDefinition>(isTaskDefinition, 'was not made by defineTask()'),
      'must be an array of what defineTask() returns',
    ),
    logLevel: v.optional(v.picklist(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(', ')}`), 'warn'),
  },
  'must be an object',
);

/**
 * Opens a connection that reconnects by itself; calls fail while Redis is away. Resolves once it is there, or after two
 * seconds without it.
 * @throws PopfleetError `bad-config` that names the setting that is missing or wrong, `bad-definition` when two definitions
 *   have one type
 */
export async function openPopfleet(settings: PopfleetSettings): Promise<Popfleet> {
  const { redisUrl, tasks, logLevel } = readSettings(settings);
  const registry = toRegistry(tasks.map((definition) => ({ definition, source: 'the list of tasks' })));
  const log = createLog(logLevel, { role: 'library' });
  const command = openCommandConnection({ url: redisUrl, log }, 'library', FRONT_DOOR_TIMING);
  const producer = createProducer(command);
  const inspector = createInspector(command);
  const operator = createOperator(command);

  const intake = createIntake(producer);

  await whenReady(command, OPEN_WITHIN_MS);

  /** @param at JSON Pointer of the call within what the caller gave */
  function check(type: unknown, given: unknown, options: object | undefined, at: string): Checked {
    if (typeof type !== 'string') throw wrong({ pointer: `#${at}/type`, detail: 'must be text' });
    const definition = registry.get(type);
    if (!definition) throw new PopfleetError('unknown-type', `There is no task type "${type}".`);
    // What the worker will read, not what the caller may change meanwhile.
    const input = demandPlain(given, `${at}/input`);
    const call = options
      ? validate(CallSchema, { ...demandOptions(options, at), type, input }, at)
      : { type, input };
    validateInput(definition.input, input, `${at}/input`);
    return { call, definition };
  }

  /** @param id in any case */
  async function find(id: unknown): Promise<TaskRecord | undefined> {
    if (typeof id !== 'string') throw wrong({ pointer: '#/id', detail: 'must be text' });
    return inspector.task(readTaskId(id) ?? id);
  }

  return {
    async enqueue(type, input, options) {
      const { call, definition } = check(
        type,
        input,
        options === undefined ? undefined : demandObject(options, ''),
        '',
      );
      const { id, queue, task } = prepareTask(call, definition, undefined);
      return toSent(id, await intake.accept(queue, task));
    },

    async enqueueMany(many) {
      if (!Array.isArray(many)) throw wrong({ pointer: '#', detail: 'must be an array of tasks' });
      const checked = Array.from(many as readonly ManyTask[], (task, at) => {
        const { type, input, ...options } = demandObject(task, `/${at}`);
        return check(type, input, hasFields(options) ? options : undefined, `/${at}`);
      });
      const sending: Promise<Sent[]>[] = [];
      for (let from = 0; from < checked.length; from += TASKS_A_CALL) {
        sending.push(sendSome(producer, checked.slice(from, from + TASKS_A_CALL)));
      }
      return (await Promise.all(sending)).flat();
    },

    async get(id) {
      const record = await find(id);
      return record && toTaskView(record, await inspector.attempts(record.queue, record.id), registry);
    },

    async cancel(id) {
      const task = await find(id);
      return task ? operator.cancel(task.queue, task.id) : 'unknown';
    },

    async retry(id) {
      const task = await find(id);
      return task ? operator.replay(task.queue, task.id) : 'unknown';
    },

    close() {
      command.disconnect();
    },
  };
}

/** @throws PopfleetError `bad-config`. It repeats no value: an address may hold a password. */
function readSettings(given: unknown): v.InferOutput<typeof SettingsSchema> {
  const parsed = v.safeParse(SettingsSchema, given, { abortPipeEarly: true });
  if (parsed.success) return parsed.output;
  const faults = parsed.issues.map((issue) => {
    const name = v.getDotPath(issue) ?? 'the argument';
    if (issue.type === 'strict_object' && issue.expected === 'never') return `${name} is no setting`;
    // Without an address ioredis would take the Redis of this machine.
    return `${name} ${issue.input === undefined || issue.input === null ? 'is missing' : issue.message}`;
  });
  throw new PopfleetError('bad-config', `openPopfleet: ${faults.join('; ')}`);
}

function wrong(fault: FieldFault): PopfleetError {
  return new PopfleetError('invalid-input', `Correct these fields: ${fault.pointer} ${fault.detail}`, {
    faults: [fault],
  });
}

/** @throws PopfleetError `invalid-input` that names the part that is not plain @param at JSON Pointer, without `#` */
function demandPlain(value: unknown, at: string): unknown {
  const plain = readPlain(value);
  if ('fault' in plain) throw wrong({ ...plain.fault, pointer: `#${at}${plain.fault.pointer.slice(1)}` });
  return plain.value;
}

function demandObject<Value extends object>(value: Value, at: string): Value {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw wrong({ pointer: `#${at}`, detail: 'must be an object' });
}

/** Options beside type and input, which stand elsewhere. */
function demandOptions(options: object, at: string): object {
  const plain = demandPlain(options, at) as Readonly<Record<string, unknown>>;
  const misplaced = ['type', 'input'].find((name) => Object.hasOwn(plain, name));
  if (misplaced === undefined) return plain;
  throw wrong({ pointer: `#${at}/${misplaced}`, detail: 'is no option' });
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
