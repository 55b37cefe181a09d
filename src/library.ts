// popfleet without HTTP: a Node program that reaches Redis sends tasks and reads, cancels and retries them.

import * as v from 'valibot';
import type { Accept } from './accept/accept.ts';
import { openAccept } from './accept/open-accept.ts';
import { keyReused, ofTask } from './accept/idempotency.ts';
import {
  ALONE,
  type CheckedCall,
  checkCall,
  type Position,
  type Prepared,
  positionOf,
  prepareTask,
  type Sender,
} from './accept/new-task.ts';
import { type BatchHandle, type NewBatch, openBatch } from './batch-handle.ts';
import { createAcceptBatch } from './batches/accept-batch.ts';
import { createLibraryWorkflows, type LibraryWorkflows } from './library-workflows.ts';
import { createLog, LOG_LEVELS } from './log.ts';
import { PopfleetError } from './protocol/errors.ts';
import { type Batches, createBatches } from './store/batches.ts';
import { createWaitpoints } from './store/waitpoints.ts';
import { type Call, type CallInput, CallSchema } from './protocol/options.ts';
import { readPlain } from './protocol/plain-value.ts';
import { readTaskId } from './protocol/task-id.ts';
import { invalidInput, validate } from './protocol/validate.ts';
import type { TlsFiles } from './store/client.ts';
import { FRONT_DOOR_TIMING, openCommandConnection, whenReady } from './store/connection.ts';
import { createDurableProducers } from './store/durable.ts';
import { createEventHub } from './store/event-hub.ts';
import { createEventReader } from './store/event-reader.ts';
import { createInspector } from './store/inspector.ts';
import { type CancelAnswer, createOperator, type ReplayAnswer } from './store/operator.ts';
import type { Verdict } from './store/producer.ts';
import type { TaskRecord } from './store/record.ts';
import { faultOfRedisUrl } from './store/redis-url.ts';
import { createWaiters } from './store/waiters.ts';
import { createWorkflows } from './store/workflows.ts';
import { SentTask, type Stored, type TaskHandle } from './task-handle.ts';
import { isTaskDefinition, type TaskDefinition } from './tasks/define.ts';
import { type Registry, toRegistry } from './tasks/registry.ts';
import { openRelay } from './upkeep/open-relay.ts';
import { readTaskView, type TaskView } from './views/task-view.ts';

/** Options of one task, as `POST /v1/tasks` takes them beside type and input. */
export type TaskOptions = Omit<CallInput, 'type' | 'input'>;

/** One task of `enqueueMany`. */
export type ManyTask = TaskOptions & { readonly type: string; readonly input: unknown };

/** @throws PopfleetError from every method; `redis-unavailable` when Redis does not answer */
export interface Popfleet {
  /**
   * Resolves once Redis has the task. The definition gives the types of its input and its result.
   * @param task one of `tasks`, or its type
   * @throws PopfleetError `unknown-type`, `invalid-input`, `idempotency-key-reused`, `redis-full`
   */
  enqueue<Input, Output, Sent>(
    task: TaskDefinition<Input, Output, Sent>,
    input: NoInfer<Sent>,
    options?: TaskOptions,
  ): Promise<TaskHandle<Stored<Output>>>;
  enqueue(type: string, input: unknown, options?: TaskOptions): Promise<TaskHandle>;
  /**
   * Sends many tasks in few calls. All of them are checked before the first is sent.
   * @returns a handle for each task, in their order
   * @throws PopfleetError as `enqueue` does, with the position of each wrong task (`#/3/input`); `idempotency-key-reused` and
   *   `redis-unavailable` may come after some were accepted
   */
  enqueueMany(tasks: readonly ManyTask[]): Promise<TaskHandle[]>;
  /**
   * The same for many inputs of one task, whose definition gives their type.
   * @param options of each of them; a `key` would make them all one task, and is refused
   */
  enqueueMany<Input, Output, Sent>(
    task: TaskDefinition<Input, Output, Sent>,
    inputs: readonly NoInfer<Sent>[],
    options?: Omit<TaskOptions, 'key'>,
  ): Promise<TaskHandle<Stored<Output>>[]>;
  /**
   * Opens a batch: tasks that are counted together, and what follows when all of them have ended (`then`). With `tasks` it has all of them, and is
   * closed at once.
   * @throws PopfleetError `unknown-type`, `invalid-input`, `idempotency-key-reused`, `redis-full`
   */
  batch(batch?: NewBatch): Promise<BatchHandle>;
  /** The task as it is now; `undefined` when there is none, or it was removed. */
  get(id: string): Promise<TaskView | undefined>;
  cancel(id: string): Promise<CancelAnswer>;
  /** Runs a dead task again, with all its attempts. */
  retry(id: string): Promise<ReplayAnswer>;
  /**
   * Completes a token that a task has made with `context.token`, before the task waits for it or while it does.
   * @param payload the handler finds it as `context.waited.payload`
   * @returns its task, and whether the same payload had come before
   * @throws PopfleetError `not-found`; `invalid-state` when another payload has come before, the wait was over, or the task has ended
   */
  completeToken(
    token: string,
    payload?: unknown,
  ): Promise<{ readonly task: string; readonly isRepeat: boolean }>;
  /** Tasks that need each other, sent as one. */
  readonly workflows: LibraryWorkflows;
  /** Closes the connections, and rejects every wait for a result. */
  close(): void;
}

export interface PopfleetSettings {
  /** As the variable `REDIS_URL` of the roles. */
  readonly redisUrl: string;
  /** What an address with TLS trusts and shows: PEM texts. */
  readonly redisTls?: TlsFiles;
  readonly tasks: readonly TaskDefinition[];
  /** As the variables `DURABLE_REPLICAS` and `DURABLE_WAIT_MS` of a server, for tasks with the option `durability`. */
  readonly durableReplicas?: number;
  readonly durableWaitMs?: number;
  /** A level of pino; `warn` by default. */
  readonly logLevel?: string;
}

const OPEN_WITHIN_MS = 2_000;
/** A program that reaches Redis may send to every queue, without a quota. */
const SENDER: Sender = { key: undefined, queues: undefined, traceparent: undefined };

function wholeNumber(most: number) {
  const message = `must be a whole number from 1 to ${most}`;
  return v.pipe(v.number(message), v.integer(message), v.minValue(1, message), v.maxValue(most, message));
}

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
    redisTls: v.optional(
      v.strictObject(
        { ca: v.optional(v.string()), cert: v.optional(v.string()), key: v.optional(v.string()) },
        'must be an object with ca, cert and key',
      ),
    ),
    tasks: v.array(
      v.custom<TaskDefinition>(isTaskDefinition, 'was not made by defineTask()'),
      'must be an array of what defineTask() returns',
    ),
    durableReplicas: v.optional(wholeNumber(100), 1),
    durableWaitMs: v.optional(wholeNumber(60_000), 1_500),
    logLevel: v.optional(v.picklist(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(', ')}`), 'warn'),
  },
  'must be an object',
);

/** `openPopfleet` of index.ts, which has its contract: programs reach this module through it alone. */
export async function openPopfleet(settings: PopfleetSettings): Promise<Popfleet> {
  const { redisUrl, redisTls, tasks, logLevel, ...levels } = readSettings(settings);
  const registry = toRegistry(tasks.map((definition) => ({ definition, source: 'the list of tasks' })));
  const log = createLog(logLevel, { role: 'library' });
  const connection = { url: redisUrl, tls: redisTls, log };
  const command = openCommandConnection(connection, 'library', FRONT_DOOR_TIMING);
  const inspector = createInspector(command);
  const relay = openRelay(command, log);
  const operator = createOperator(command, relay.soon);
  const waitpoints = createWaitpoints(command);
  const store = createWorkflows(command, relay.soon);
  const durable = createDurableProducers(connection, 'library', levels);
  const accept = openAccept(command, registry, undefined, undefined, durable);
  const hub = createEventHub((listener) => createEventReader(connection, command, listener));
  const waiters = createWaiters(inspector, hub);
  let closed = false;
  const isClosed = (): boolean => closed;

  await whenReady(command, OPEN_WITHIN_MS);

  async function waitForEnd(
    task: Pick<TaskRecord, 'id' | 'queue'>,
    ms: number,
  ): Promise<TaskRecord | undefined> {
    try {
      const record = await waiters.wait(task, ms);
      if (!closed) return record;
    } catch (error) {
      if (!closed) throw error;
    }
    throw new PopfleetError('shutting-down', 'The connection to popfleet was closed.');
  }

  const toHandle = handleMaker(waitForEnd);

  /** @param id in any case */
  async function find(id: unknown): Promise<TaskRecord | undefined> {
    if (typeof id !== 'string') throw invalidInput([{ pointer: '#/id', detail: 'must be text' }]);
    return inspector.task(readTaskId(id) ?? id);
  }

  const act = <Answer>(verb: (queue: string, id: string) => Promise<Answer>) => actOnFound(find, verb);

  return {
    async enqueue(task: string | TaskDefinition, input: unknown, options?: TaskOptions) {
      const type = isTaskDefinition(task) ? task.type : task;
      const given = options === undefined ? undefined : demandObject(options, '');
      const prepared = accept.prepare(readCall(type, input, given, ALONE), SENDER);
      return toHandle(prepared, await accept.send(prepared), ALONE);
    },

    async enqueueMany(
      given: readonly ManyTask[] | TaskDefinition,
      inputs?: readonly unknown[],
      shared?: object,
    ): Promise<never[]> {
      const many = isTaskDefinition(given) ? tasksOf(given, inputs, shared) : given;
      const checked = checkMany(registry, many);
      const all: Prepared[] = [];
      const verdicts = await accept.sendMany(checked.length, (at) => {
        return (all[at] = prepareTask(checked[at] as CheckedCall, SENDER));
      });
      return all.map((prepared, at) =>
        toHandle(prepared, verdicts.get(at), checked[at]?.position ?? ALONE),
      ) as never[];
    },

    batch: batchOpener(accept, createBatches(command, relay.soon), registry),

    async get(id) {
      const record = await find(id);
      return record && readTaskView(record, inspector, registry);
    },

    cancel: act(operator.cancel),
    retry: act((queue, id) => operator.replay(queue, id)),

    workflows: createLibraryWorkflows({ accept, store, inspector, waiters, sender: SENDER, isClosed }),

    completeToken: async (token, payload) =>
      waitpoints.complete(demandToken(token), demandPayload(payload), find),

    close() {
      closed = true;
      waiters.stop();
      void hub.stop();
      durable.stop();
      command.disconnect();
    },
  };
}

/** Makes handles of tasks that were sent. @throws PopfleetError `idempotency-key-reused` */
function handleMaker(waitForEnd: ConstructorParameters<typeof SentTask>[1]) {
  return (
    { queue, task, durability }: Prepared,
    verdict: Verdict | undefined,
    { call }: Position,
  ): SentTask => {
    if (verdict?.word === 'conflict') throw keyReused(ofTask(verdict.id), `#${call}/key`);
    const sent = {
      id: verdict?.id ?? task.id,
      queue,
      replayed: verdict?.word === 'replayed',
      durability: verdict?.reached ?? (durability && 'memory'),
    };
    return new SentTask(sent, waitForEnd);
  };
}

/** Does something to the task that an id finds. */
function actOnFound<Answer>(
  find: (id: unknown) => Promise<TaskRecord | undefined>,
  verb: (queue: string, id: string) => Promise<Answer>,
) {
  return async (id: string): Promise<Answer | 'unknown'> => {
    const task = await find(id);
    return task ? verb(task.queue, task.id) : 'unknown';
  };
}

function batchOpener(accept: Accept, batches: Batches, registry: Registry): Popfleet['batch'] {
  const acceptBatch = createAcceptBatch({ accept, store: batches });
  const prepare = async (many: readonly ManyTask[], at = ''): Promise<readonly Prepared[]> => {
    const tasks = checkMany(registry, many, at).map((one) => prepareTask(one, SENDER));
    const [taken] = (await accept.lookUpKeys(tasks)).taken;
    if (taken) throw keyReused(taken[1], `#${at}/${taken[0]}/key`);
    return tasks;
  };
  return (batch = {}) => openBatch(batch, { acceptBatch, batches, sender: SENDER, prepare });
}

/** @throws PopfleetError `bad-config`. It repeats no value: an address may hold a password. */
function readSettings(given: unknown): v.InferOutput<typeof SettingsSchema> {
  const parsed = v.safeParse(SettingsSchema, given, { abortPipeEarly: true });
  if (parsed.success) return parsed.output;
  const faults = parsed.issues.map((issue) => {
    const name = v.getDotPath(issue) ?? 'the argument';
    if (issue.type === 'strict_object' && issue.expected === 'never') return `${name} is no setting`;
    // Without an address ioredis would connect to the Redis of this machine.
    return `${name} ${issue.input === undefined || issue.input === null ? 'is missing' : issue.message}`;
  });
  throw new PopfleetError('bad-config', `openPopfleet: ${faults.join('; ')}`);
}

/**
 * @param at JSON Pointer of the tasks within the call, without `#`
 * @throws PopfleetError `unknown-type`, `invalid-input` with the position of the wrong task
 */
function checkMany(registry: Registry, many: unknown, at = ''): CheckedCall[] {
  if (!Array.isArray(many)) throw invalidInput([{ pointer: `#${at}`, detail: 'must be an array of tasks' }]);
  return Array.from(many as readonly ManyTask[], (task, index) => {
    const position = positionOf(index, at);
    const { type, input, ...options } = demandObject(task, position.call);
    const call = readCall(type, input, hasFields(options) ? options : undefined, position);
    return checkCall(registry, call, position);
  });
}

/** @throws PopfleetError `invalid-input` */
function tasksOf({ type }: TaskDefinition, inputs: unknown, options: object = {}): readonly ManyTask[] {
  if (!Array.isArray(inputs)) throw invalidInput([{ pointer: '#', detail: 'must be an array of inputs' }]);
  if (Object.hasOwn(demandObject(options, '/options'), 'key')) {
    throw invalidInput([{ pointer: '#/options/key', detail: 'would make all of them one task' }]);
  }
  return inputs.map((input: unknown) => ({ ...options, type, input }));
}

/** Copies the input, so that changes by the caller meanwhile have no effect. @throws PopfleetError `invalid-input` */
function readCall(type: unknown, input: unknown, options: object | undefined, position: Position): Call {
  if (typeof type !== 'string') {
    throw invalidInput([{ pointer: `#${position.call}/type`, detail: 'must be text' }]);
  }
  const call = { type, input: demandPlain(input, position.input) };
  return options
    ? validate(CallSchema, { ...demandOptions(options, position.call), ...call }, position.call)
    : call;
}

/** @throws PopfleetError `invalid-input` that names the part that is not plain @param at JSON Pointer, without `#` */
function demandPlain(value: unknown, at: string): unknown {
  const plain = readPlain(value);
  if (!('fault' in plain)) return plain.value;
  throw invalidInput([{ ...plain.fault, pointer: `#${at}${plain.fault.pointer.slice(1)}` }]);
}

function demandPayload(payload: unknown): unknown {
  return payload === undefined ? undefined : demandPlain(payload, '/payload');
}

function demandToken(token: unknown): string {
  if (typeof token === 'string') return token;
  throw invalidInput([{ pointer: '#/token', detail: 'must be text' }]);
}

function demandObject<Value extends object>(value: Value, at: string): Value {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw invalidInput([{ pointer: `#${at}`, detail: 'must be an object' }]);
}

/** The options without type and input. */
function demandOptions(options: object, at: string): object {
  const plain = demandPlain(options, at) as Readonly<Record<string, unknown>>;
  const misplaced = ['type', 'input'].find((name) => Object.hasOwn(plain, name));
  if (misplaced === undefined) return plain;
  throw invalidInput([{ pointer: `#${at}/${misplaced}`, detail: 'is no option' }]);
}

function hasFields(value: object): boolean {
  for (const _ in value) return true;
  return false;
}
