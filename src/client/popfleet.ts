// The client of the HTTP API, for any program with `fetch`: Node, browsers, Bun, Deno. It stands on nothing else.

import { ApiError, TaskCancelled, TaskFailed } from './api-error.ts';
import { type Audit, createAudit } from './audit.ts';
import { type Batches, createBatches } from './batches.ts';
import { createDeadLetters, type DeadLetters } from './dead-letters.ts';
import { createFleet, type Fleet } from './fleet.ts';
import {
  type FleetEvent,
  followFleet,
  type FollowOptions,
  followTask,
  type ResumeOptions,
} from './fleet-events.ts';
import { type ListOptions, listTasks } from './list-tasks.ts';
import { longPoll, type WaitOptions } from './long-poll.ts';
import { keyed } from './keyed.ts';
import { createOperations, type Operations } from './operations.ts';
import { createQueues, type Queues } from './queues.ts';
import { createSchedules, type Schedules } from './schedules.ts';
import { type BatchOptions, type SentItem, sendBatches } from './send-batches.ts';
import type { Explanation, Receipt, TaskEvent, TaskOptions, TaskView } from './shapes.ts';
import type { InputOf, ManyTask, Received, ResultOf, TaskLike, TypeIn } from './task-types.ts';
import { createWaitpoints, type Waitpoints } from './waitpoints.ts';
import { createWebhooks, type Webhooks } from './webhooks.ts';
import { createWorkflows, type Workflows } from './workflows.ts';
import { type CallOptions, createTransport, type Transport, type TransportSettings } from './transport.ts';

interface RetryOptions extends CallOptions {
  /** Another input, from then on. */
  readonly input?: unknown;
  /** Whether its handler finds no checkpoint; true unless given for another input, else false. */
  readonly fromStart?: boolean;
}

interface RunOptions extends TaskOptions, CallOptions {
  /** How long to wait, in milliseconds; without end unless given. `timeoutMs` is the option of the task: how long it may run. */
  readonly waitMs?: number | undefined;
}

/**
 * Requests are repeated when the network fails, or the answer is 429, 502, 503 or 504. Each task has an idempotency key before
 * it is sent for the first time, so a repeat never makes a second one.
 *
 * `new Popfleet<typeof tasks>(…)`, with `import type * as tasks from './tasks.ts'`, knows for each task type of that module what is sent
 * and what comes back; several modules are `[typeof tasks, typeof others]`. Without it any type takes any input.
 * @throws ApiError from every method
 */
export class Popfleet<Tasks = unknown> {
  readonly queues: Queues;
  readonly schedules: Schedules;
  readonly fleet: Fleet;
  readonly operations: Operations;
  readonly deadLetters: DeadLetters;
  readonly waitpoints: Waitpoints;
  readonly workflows: Workflows<Tasks>;
  readonly batches: Batches;
  readonly webhooks: Webhooks;
  readonly audit: Audit;
  readonly #transport: Transport;

  /** @throws TypeError when the address is no http or https address */
  constructor(settings: TransportSettings) {
    this.#transport = createTransport(settings);
    this.queues = createQueues(this.#transport);
    this.schedules = createSchedules(this.#transport);
    this.fleet = createFleet(this.#transport);
    this.operations = createOperations(this.#transport);
    this.deadLetters = createDeadLetters(this.#transport);
    this.waitpoints = createWaitpoints(this.#transport);
    this.workflows = createWorkflows(this.#transport);
    this.batches = createBatches(this.#transport);
    this.webhooks = createWebhooks(this.#transport);
    this.audit = createAudit(this.#transport);
  }

  /**
   * Resolves once Redis has the task.
   * @param task a definition, which gives the types of input and result, or its type
   */
  enqueue<Sent>(
    task: TaskLike<Sent>,
    input: NoInfer<Sent>,
    options?: TaskOptions & CallOptions,
  ): Promise<Receipt>;
  enqueue<Type extends TypeIn<Tasks>>(
    task: Type,
    input: InputOf<Tasks, Type>,
    options?: TaskOptions & CallOptions,
  ): Promise<Receipt>;
  enqueue(
    task: string | TaskLike,
    input: unknown,
    options: TaskOptions & CallOptions = {},
  ): Promise<Receipt> {
    return this.#send(task, input, options);
  }

  #send(
    task: string | TaskLike,
    input: unknown,
    { signal, ...options }: TaskOptions & CallOptions,
  ): Promise<Receipt> {
    const type = typeof task === 'string' ? task : task.type;
    const body = { ...keyed(options), type, input };
    return this.#transport.json({ method: 'POST', path: '/v1/tasks', body, signal });
  }

  /** Whether a task would be accepted; nothing is sent. It rejects with the reason when it would not. */
  check(
    type: string,
    input: unknown,
    { signal, ...options }: TaskOptions & CallOptions = {},
  ): Promise<{
    readonly valid: true;
    readonly type: string;
    readonly queue: string;
    readonly priority: string;
  }> {
    const body = { ...options, type, input };
    return this.#transport.json({ method: 'POST', path: '/v1/tasks/check', body, signal });
  }

  /**
   * Sends many tasks, some hundred a request. Yields what became of each, in their order; one that is not valid stops no
   * other. A consumer that is slow slows the sending down.
   */
  enqueueMany(
    tasks: Iterable<ManyTask<Tasks>> | AsyncIterable<ManyTask<Tasks>>,
    options?: BatchOptions,
  ): AsyncGenerator<SentItem, void, void> {
    return sendBatches(this.#transport, tasks as Iterable<object> | AsyncIterable<object>, options);
  }

  /** Sends a task and waits for its result. @throws TaskFailed, TaskCancelled, WaitTimeout */
  run<Sent, Output>(
    task: TaskLike<Sent, Output>,
    input: NoInfer<Sent>,
    options?: RunOptions,
  ): Promise<Received<Output>>;
  run<Type extends TypeIn<Tasks>>(
    task: Type,
    input: InputOf<Tasks, Type>,
    options?: RunOptions,
  ): Promise<ResultOf<Tasks, Type>>;
  async run(
    task: string | TaskLike,
    input: unknown,
    { waitMs, ...options }: RunOptions = {},
  ): Promise<unknown> {
    const { id } = await this.#send(task, input, options);
    const ended = await longPoll<TaskView>(
      this.#transport,
      { what: 'task', id, path: pathOf(id) },
      { timeoutMs: waitMs, signal: options.signal },
    );
    if (ended.state === 'dead') throw new TaskFailed(ended);
    if (ended.state === 'cancelled') throw new TaskCancelled(ended);
    return ended.result;
  }

  get(id: string, { signal }: CallOptions = {}): Promise<TaskView> {
    return this.#transport.json({ path: pathOf(id), signal });
  }

  /**
   * The task once it has ended, whichever way. The server may go away meanwhile for up to a minute.
   * @throws WaitTimeout
   */
  async wait(id: string, options?: WaitOptions): Promise<TaskView> {
    return longPoll(this.#transport, { what: 'task', id, path: pathOf(id) }, options);
  }

  /** What happens to a task, from what it is now, or behind an event, to its end, over breaks of the connection. */
  events(id: string, options: ResumeOptions = {}): AsyncGenerator<TaskEvent, void, void> {
    return followTask(this.#transport, pathOf(id), options);
  }

  /** What happens in all queues, or in what `topics` names, from the first read on and without an end, over breaks of the connection. */
  follow(options: FollowOptions = {}): AsyncGenerator<FleetEvent, void, void> {
    return followFleet(this.#transport, options);
  }

  /** Lines that its handler has logged; the last 1,000 are kept. */
  async log(id: string, { signal }: CallOptions = {}): Promise<readonly string[]> {
    const { lines } = await this.#transport.json<{ readonly lines: readonly string[] }>({
      path: `${pathOf(id)}/log`,
      signal,
    });
    return lines;
  }

  /** Why it does not run yet; the first reason is the one to act on. */
  explain(id: string, { signal }: CallOptions = {}): Promise<Explanation> {
    return this.#transport.json({ path: `${pathOf(id)}/explain`, signal });
  }

  /** The task as it is then: one that runs has only been asked to stop. */
  cancel(id: string, { signal }: CallOptions = {}): Promise<TaskView> {
    return this.#transport.json({ method: 'POST', path: `${pathOf(id)}/cancel`, signal });
  }

  /** Runs a dead task again, with a fresh budget of attempts; it goes on from its checkpoint unless told otherwise. */
  retry(id: string, { signal, ...how }: RetryOptions = {}): Promise<TaskView> {
    const body = Object.keys(how).length > 0 ? how : undefined;
    return this.#transport.json({ method: 'POST', path: `${pathOf(id)}/retry`, body, once: true, signal });
  }

  /** Removes a task with all that is kept of it. */
  remove(id: string, { signal }: CallOptions = {}): Promise<void> {
    return this.#transport.json({ method: 'DELETE', path: pathOf(id), signal });
  }

  /** Tasks of a queue, page after page as they are read. */
  list(options: ListOptions = {}): ReturnType<typeof listTasks> {
    return listTasks(this.#transport, options);
  }
}

function pathOf(id: string): string {
  if (id === '') throw new ApiError('A task has an id.', { status: 0, code: 'invalid-input' });
  return `/v1/tasks/${encodeURIComponent(id)}`;
}
