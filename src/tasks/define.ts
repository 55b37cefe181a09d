// Defines a task once for server and worker: its type, the schema of its input, and its handler.

import * as v from 'valibot';
import { PopfleetError } from '../protocol/errors.ts';
import type { Cause } from '../protocol/message.ts';
import { TASK_TYPE } from '../protocol/names.ts';
import { type CallInput, DefaultsSchema, type TaskDefaults } from '../protocol/options.ts';
import { detailOf } from '../protocol/validate.ts';
import { faultOfSchema, type InputSchema } from './input-schema.ts';

/** What a handler gets beside its input: facts of its task, and ways to report while it runs. */
export interface TaskContext {
  readonly id: string;
  readonly type: string;
  /** 1 for the first run; only failures of the handler increase it. */
  readonly attempt: number;
  /** Fires at the deadline, when the task is cancelled and when its worker stops. Shortly after, its thread is ended. */
  readonly signal: AbortSignal;
  /** When the handler will be stopped, if it still runs then; `undefined` without a time limit. */
  readonly deadline: Date | undefined;
  /** Reports progress. It may be called as often as you like: only the latest is passed on, a few times a second. */
  progress(percent: number, note?: string): void;
  /** Adds a line to the task's log, which is capped. */
  log(line: string): void;
  /**
   * Keeps a value for the next run of this task: after a crash, a drain, a failed attempt, and when the task is retried by hand.
   * Resolves when Redis has it. It replaces the one before; `undefined` forgets it. When the worker stops, the task is asked to stop
   * here. Rejects with an `AbortError` when this run does not count any more, with a TypeError for a value that JSON would lose, and
   * with a RangeError for one that is larger than a result may be.
   */
  checkpoint(value: unknown): Promise<void>;
  /** What an earlier run has kept with `checkpoint`; `undefined` when none has. */
  readonly lastCheckpoint: unknown;
  /**
   * Makes a token that somebody completes with a payload (`POST /v1/waitpoints/{token}`), before the task waits for it or while it does.
   * Resolves when Redis has it. The same name is the same token in every run of this task.
   * @param name letters, digits, `_` and `-`, at most 64
   */
  token(name: string): Promise<string>;
  /**
   * Makes a child: another task. Resolves with its id when Redis has it. The same child in every run of this task, never a second one: it is
   * known by `key`, or by its position among those without one since the last checkpoint. Rejects when its key was used for a child with
   * another type, input or queue. A child goes on when this task ends, unless this one is cancelled: then it is, too.
   * @param task a definition, or its type; this worker has to know it
   */
  spawn<Input, Output, Sent>(
    task: TaskDefinition<Input, Output, Sent>,
    input: NoInfer<Sent>,
    options?: SpawnOptions,
  ): Promise<string>;
  spawn(type: string, input: unknown, options?: SpawnOptions): Promise<string>;
  /**
   * Ends this run, to wait without a slot: `return context.waitFor({token})`, or `{children}`, which waits until all of them have ended. The task runs again, as the same attempt, once what it waits
   * for is there or `timeoutMs` is over, with `waited`; it begins from its start, so keep a checkpoint of what is done.
   * @throws TypeError for something that cannot be waited for
   */
  waitFor(what: WaitFor): never;
  /** What the latest `waitFor` has brought; `undefined` before the first one. */
  readonly waited: Waited | undefined;
  /** The tick that made the task, and when it was due; `undefined` for a task that no schedule made. */
  readonly schedule: { readonly name: string; readonly due: Date } | undefined;
  /** The end of the task that this one follows (`onEnd`): its id, the state in which it ended, its result or its error. */
  readonly cause: Cause | undefined;
  /**
   * Of a step of a workflow: by the names of the steps that it needs, how each has ended, with its result, or with its error when this
   * step runs although it has failed (`onNeedFailed: 'run'`). Empty for any other task.
   */
  readonly needs: Readonly<
    Record<
      string,
      {
        readonly state: string;
        readonly result?: unknown;
        readonly error?: { readonly name: string; readonly message: string };
      }
    >
  >;
  /** W3C trace context of the request that made the task. */
  readonly traceparent: string | undefined;
}

/** Options of a child, as `POST /v1/tasks` takes them; `key` names it among the children of its parent. */
export type SpawnOptions = Omit<CallInput, 'type' | 'input' | 'keyWindowMs' | 'durability'>;

/**
 * What a task waits for: somebody, the ends of children (ids that `spawn` has given), or a time of day (`untilMs`, milliseconds since 1970).
 * `timeoutMs` ends the wait whatever has come.
 */
export type WaitFor =
  | { readonly children: readonly string[]; readonly timeoutMs?: number | undefined }
  | { readonly token: string; readonly timeoutMs?: number | undefined }
  | { readonly untilMs: number };

/** How a wait has ended. */
export interface Waited {
  /** The time was over before. */
  readonly timedOut: boolean;
  /** Of the token: what it was completed with. */
  readonly payload: unknown;
  /** The children, in the order in which they were waited for; none for anything else. */
  readonly children: readonly ChildEnd[];
}

/** How a child has ended. */
export interface ChildEnd {
  readonly id: string;
  /** `unfinished`: the time was over before; `removed`: there is no such child. */
  readonly state: 'succeeded' | 'dead' | 'cancelled' | 'removed' | 'unfinished';
  readonly result?: unknown;
  readonly error?: { readonly name: string; readonly message: string };
}

/**
 * `Input` is what the handler gets, `Output` its result, `Sent` what a program sends, which the schema may turn into `Input`. `Type` is the
 * text of `type`, by which `popfleet/client` knows the others.
 */
export interface TaskDefinition<
  Input = unknown,
  Output = unknown,
  Sent = unknown,
  Type extends string = string,
> {
  /** Lower case letters, digits, `_`, `.` and `-`; begins with a letter; at most 64 characters. */
  readonly type: Type;
  /**
   * A schema of valibot (`v` of this package), zod, arktype or another library that follows Standard Schema, and needs no
   * await. The server refuses an input that does not fit, the worker checks it again; the handler gets the output of the schema.
   */
  readonly input: InputSchema<Input, Sent>;
  /** Options for every task of this type; a call may override each. */
  readonly defaults?: TaskDefaults;
  /**
   * Values by which tasks of this type are found (`GET /v1/tasks?field=customer:4711`): at most eight of texts, numbers and truth
   * values, each at most 128 characters. Called once for each task, with the input as it was sent; it must not change it, nor wait for
   * anything. What it throws refuses the task.
   */
  search?(input: Sent): Readonly<Record<string, string | number | boolean | null | undefined>>;
  /**
   * Where the handler runs. `thread`, the default: in a thread of its own, which a deadline or a cancel ends whatever it
   * does. `inline`: on the worker's main thread, up to its CONCURRENCY at the same time; for tiny tasks that never block,
   * because nothing can end them from outside.
   */
  readonly runIn?: 'thread' | 'inline';
  /**
   * Runs in a thread of its own and may block it, unless `runIn` says otherwise. Its result is kept as JSON shows it: a Date
   * becomes text. A result that JSON would lose (a Map, a BigInt) fails the task for good.
   */
  run(input: Input, context: TaskContext): Output | Promise<Output>;
}

/** Global, so that a definition is known also when a program carries two copies of this package. */
const DEFINED = Symbol.for('popfleet.task');

/**
 * Defines a task.
 * @param definition an object or an instance of a class; `this` in its `run` is the object itself
 * @throws PopfleetError `bad-definition` that says which part is wrong
 */
export function defineTask<Input, Output, Sent, Type extends string = string>(
  definition: TaskDefinition<Input, Output, Sent, Type>,
): TaskDefinition<Input, Output, Sent, Type> {
  const fault = faultOf(definition ?? {}) ?? misplacedOption(definition);
  if (fault) throw new PopfleetError('bad-definition', fault);
  const { type, input, defaults, runIn, search } = definition;
  // Read one by one, and `run` bound to the definition: a class instance may have them on its prototype.
  const made = Object.assign({ [DEFINED]: true }, definition, {
    type,
    input,
    ...(defaults === undefined ? {} : { defaults }),
    ...(runIn === undefined ? {} : { runIn }),
    ...(search === undefined ? {} : { search: search.bind(definition) }),
    run: definition.run.bind(definition),
  });
  return Object.freeze(made);
}

/** True for what `defineTask` made. */
export function isTaskDefinition(value: unknown): value is TaskDefinition {
  return typeof value === 'object' && value !== null && DEFINED in value;
}

/** An option beside `defaults` would mean nothing, and nobody would see that. */
function misplacedOption(definition: { readonly type: string }): string | undefined {
  const misplaced = Object.keys(DefaultsSchema.entries).find((option) => Object.hasOwn(definition, option));
  if (misplaced === undefined) return undefined;
  return `${misplaced} of task "${definition.type}" belongs into its defaults: defaults: { ${misplaced}: … }`;
}

function faultOf({
  type,
  input,
  run,
  runIn,
  defaults,
  search,
}: Partial<Record<keyof TaskDefinition, unknown>>): string | undefined {
  if (typeof type !== 'string' || !TASK_TYPE.test(type)) {
    return `the task type ${JSON.stringify(type)} must match ${TASK_TYPE.source}`;
  }
  const schemaFault = faultOfSchema(input);
  if (schemaFault !== undefined) return `the input of task "${type}" must be ${schemaFault}`;
  if (typeof run !== 'function') return `task "${type}" needs a function "run"`;
  if (runIn !== undefined && runIn !== 'thread' && runIn !== 'inline') {
    return `runIn of task "${type}" must be 'thread' or 'inline'`;
  }
  if (search !== undefined && typeof search !== 'function') {
    return `search of task "${type}" must be a function of the input`;
  }
  const parsed = v.safeParse(v.optional(DefaultsSchema), defaults);
  if (parsed.success) return undefined;
  const [issue] = parsed.issues;
  const at = v.getDotPath(issue) ?? 'they';
  return `the defaults of task "${type}" are not valid: ${at}: ${detailOf(DefaultsSchema, issue)}`;
}
