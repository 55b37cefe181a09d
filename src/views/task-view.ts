// A task as callers see it.

import * as v from 'valibot';
import { decodeStored } from '../protocol/cbor.ts';
import { isInstant } from '../protocol/instant.ts';
import { LANES } from '../protocol/lane.ts';
import {
  decodeContent,
  type MessageOptions,
  readCause,
  readTick,
  typeOfContent,
} from '../protocol/message.ts';
import { type RunOptions, resolveRunOptions, runEntries } from '../protocol/options.ts';
import { readTaskError } from '../protocol/task-error.ts';
import { TASK_STATES } from '../protocol/task-state.ts';
import { toOptionalTime, toTime } from '../protocol/time-text.ts';
import type { FailedAttempt, Inspector } from '../store/inspector.ts';
import type { ChildOf } from '../store/children.ts';
import { readStep, type TaskRecord } from '../store/record.ts';
import { readTerms } from '../store/terms.ts';
import type { Registry } from '../tasks/registry.ts';
import { compact } from '../protocol/compact.ts';
import { named } from './component.ts';
import { ErrorSchema, NamedError } from './error-schema.ts';
import { familyEntries, familyOf, hasChildren } from './children.ts';
import { followersEntries, followersOf } from './followers.ts';

const Time = v.pipe(v.string(), v.isoTimestamp(), v.description('RFC 3339 in UTC with milliseconds'));

/** A task that a later release has written may be in a state that this one does not know: it is shown by its word. */
const State = named('TaskState', v.union([v.picklist(TASK_STATES), v.string()]));
const Priority = named('Priority', v.picklist(LANES));

/** Complete options: those of the caller, and defaults for the others. */
export const BackoffView = named(
  'Backoff',
  v.object({
    type: v.picklist(['fixed', 'exponential']),
    baseMs: v.number(),
    factor: v.number(),
    capMs: v.number(),
    jitter: v.picklist(['full', 'none']),
  }),
);

const RunOptionsSchema = v.object({ ...runEntries, maxAttempts: v.number(), backoff: BackoffView });

const Tags = v.array(v.string());

const Links = v.object({ self: v.string(), log: v.string(), events: v.string(), explain: v.string() });

/** Members that are unknown, or do not apply, are absent. */
export const taskEntries = {
  id: v.string(),
  type: v.string(),
  state: State,
  queue: v.string(),
  priority: Priority,
  input: v.unknown(),
  inputEditedAt: v.exactOptional(
    v.pipe(Time, v.description('when it was retried with this input instead of the one it was sent with')),
  ),
  options: v.exactOptional(
    v.pipe(
      named('RunOptions', RunOptionsSchema),
      v.description("what holds for its runs: the call's options, else the type's, else the defaults"),
    ),
  ),
  attempt: v.pipe(
    v.number(),
    v.description(
      'the attempt that runs, or the last one that ran; of a task that waits, how many were made; 0 when it never ran. Workers that were lost do not count',
    ),
  ),
  crashes: v.pipe(v.number(), v.description('workers that were lost while they ran it')),
  worker: v.exactOptional(v.string()),
  acceptedAt: Time,
  dueAt: v.exactOptional(Time),
  expiresAt: v.exactOptional(Time),
  startedAt: v.exactOptional(Time),
  finishedAt: v.exactOptional(Time),
  cancelRequestedAt: v.exactOptional(Time),
  progress: v.exactOptional(v.unknown()),
  result: v.exactOptional(v.unknown()),
  error: v.exactOptional(NamedError),
  errors: v.pipe(
    v.array(
      named(
        'FailedAttempt',
        v.object({
          claim: v.number(),
          worker: v.string(),
          startedAt: Time,
          endedAt: Time,
          error: NamedError,
        }),
      ),
    ),
    v.description('how its latest attempts failed, oldest first'),
  ),
  tags: v.exactOptional(Tags),
  search: v.exactOptional(
    v.pipe(v.record(v.string(), v.string()), v.description('fields by which it is found, of its definition')),
  ),
  schedule: v.exactOptional(
    v.pipe(v.object({ name: v.string(), due: Time }), v.description('the tick that made it')),
  ),
  ...followersEntries,
  cause: v.exactOptional(
    v.pipe(
      v.object({ id: v.string(), state: v.string() }),
      v.description(
        'the task that it follows, and how that ended; its handler has the result or the error as well',
      ),
    ),
  ),
  workflow: v.exactOptional(
    v.pipe(
      v.object({ id: v.string(), step: v.string() }),
      v.description('the workflow of which it is a step'),
    ),
  ),
  ...familyEntries,
  traceparent: v.exactOptional(v.string()),
  links: Links,
};
export const TaskSchema = named('Task', v.object(taskEntries));
export type TaskView = v.InferOutput<typeof TaskSchema>;

/** A row of a list: no payload, no stack. */
export const rowEntries = {
  id: v.string(),
  type: v.string(),
  state: State,
  queue: v.string(),
  priority: Priority,
  attempt: v.number(),
  crashes: v.number(),
  worker: v.exactOptional(v.pipe(v.string(), v.description('that runs it, or has run it last'))),
  acceptedAt: Time,
  dueAt: v.exactOptional(Time),
  startedAt: v.exactOptional(Time),
  finishedAt: v.exactOptional(Time),
  tags: v.exactOptional(Tags),
  error: v.exactOptional(v.omit(ErrorSchema, ['stack', 'cause', 'errors', 'killLatencyMs'])),
  links: v.object({ self: v.string() }),
};
const RowSchema = v.object(rowEntries);
export const TaskRowSchema = named('TaskSummary', RowSchema);
export type TaskRow = v.InferOutput<typeof RowSchema>;

/**
 * A task with everything that Redis has of it.
 * @param basePath path at which the links begin
 * @throws PopfleetError `redis-unavailable`
 */
export async function readTaskView(
  record: TaskRecord,
  inspector: Pick<Inspector, 'attempts' | 'children'>,
  registry: Registry,
  basePath = '',
): Promise<TaskView> {
  // Most tasks never fail, and need no second command. `failures` does not decide: a replay resets it.
  const faultless = record.state === 'running' || record.state === 'succeeded' ? 1 : 0;
  const attempts = record.claims > faultless ? await inspector.attempts(record.queue, record.id) : [];
  const children = hasChildren(record) ? await inspector.children(record.queue, record.id) : [];
  return toTaskView(record, attempts, registry, basePath, children);
}

/** As `readTaskView`, without Redis. @param attempts how its latest attempts failed, oldest first */
export function toTaskView(
  record: TaskRecord,
  attempts: readonly FailedAttempt[],
  registry: Registry,
  basePath = '',
  children: readonly ChildOf[] = [],
): TaskView {
  const { type, input, options } = readContent(record.content);
  const { traceparent, inputEditedAt } = options;
  const tick = readTick(options);
  const cause = readCause(options);
  const step = record.step === undefined ? undefined : readStep(record.step);
  return compact<TaskView>({
    id: record.id,
    type,
    state: record.state,
    queue: record.queue,
    priority: record.lane,
    input,
    inputEditedAt: isInstant(inputEditedAt) ? toTime(inputEditedAt) : undefined,
    options: runOptions(options, type, registry),
    attempt: attemptOf(record),
    crashes: record.crashes,
    worker: record.worker,
    acceptedAt: toTime(record.acceptedAt),
    dueAt: toOptionalTime(record.dueAt),
    expiresAt: toOptionalTime(record.expiresAt),
    startedAt: toOptionalTime(record.startedAt),
    finishedAt: toOptionalTime(record.finishedAt),
    cancelRequestedAt: toOptionalTime(record.cancelAt),
    progress: record.progress && decodeStored(record.progress),
    result: record.result && decodeStored(record.result),
    // Of a task that succeeded it is the error of an earlier attempt, which `errors` still has.
    error: record.error && record.state !== 'succeeded' ? readTaskError(record.error) : undefined,
    errors: attempts.map(toAttemptView),
    tags: tagsOf(record),
    search: fieldsOf(record),
    schedule: tick && { name: tick.name, due: toTime(tick.due) },
    ...followersOf(record),
    cause: cause && { id: cause.id, state: cause.state },
    workflow: step && { id: step.workflow, step: step.name },
    ...familyOf(record, children, (id) => taskPath(id, basePath)),
    traceparent: typeof traceparent === 'string' ? traceparent : undefined,
    links: linksOf(record.id, basePath),
  });
}

function tagsOf({ terms }: TaskRecord): string[] | undefined {
  const { tags = [] } = terms === undefined ? {} : readTerms(terms);
  return tags.length === 0 ? undefined : [...tags];
}

function fieldsOf({ terms }: TaskRecord): Record<string, string> | undefined {
  const { fields } = terms === undefined ? {} : readTerms(terms);
  return fields && fields.size > 0 ? Object.fromEntries(fields) : undefined;
}

export function toTaskRow(record: TaskRecord, basePath: string): TaskRow {
  return compact<TaskRow>({
    id: record.id,
    // Reads the type alone: the content may be cut after it.
    type: typeOfContent(record.content) ?? 'unknown',
    state: record.state,
    queue: record.queue,
    priority: record.lane,
    attempt: attemptOf(record),
    crashes: record.crashes,
    worker: record.worker,
    acceptedAt: toTime(record.acceptedAt),
    dueAt: record.state === 'scheduled' ? toOptionalTime(record.dueAt) : undefined,
    startedAt: toOptionalTime(record.startedAt),
    finishedAt: toOptionalTime(record.finishedAt),
    tags: tagsOf(record),
    error: record.error && record.state !== 'succeeded' ? toErrorRow(record.error) : undefined,
    links: { self: taskPath(record.id, basePath) },
  });
}

function toErrorRow(error: Buffer): NonNullable<TaskRow['error']> {
  const { name, message, code, fingerprint, killCause } = readTaskError(error);
  return compact<NonNullable<TaskRow['error']>>({ name, message, code, fingerprint, killCause });
}

/**
 * The attempt that runs or has run last, 0 when there was none; of a task that waits, how many were made. An attempt that
 * ended without a failure before the task did (a lost worker, `RetryLater`, a shutdown) is made again under its number.
 */
function attemptOf({ state, claims, failures }: TaskRecord): number {
  if (claims === 0) return 0;
  switch (state) {
    case 'waiting':
    case 'scheduled':
    case 'ready':
    case 'moved':
      return failures;
    case 'dead':
      return Math.max(1, failures);
    case 'cancelled':
      // While it ran, or while it waited for its next attempt: then it was claimed no more often than it has failed.
      return Math.min(claims, failures + 1);
    case 'running':
    case 'succeeded':
    default:
      return failures + 1;
  }
}

/** @param basePath path under which clients reach the server */
export function taskPath(id: string, basePath: string): string {
  return `${basePath}/v1/tasks/${id}`;
}

function linksOf(id: string, basePath: string): TaskView['links'] {
  const self = taskPath(id, basePath);
  return { self, log: `${self}/log`, events: `${self}/events`, explain: `${self}/explain` };
}

function toAttemptView({
  startedAt,
  endedAt,
  claim,
  worker,
  error,
}: FailedAttempt): TaskView['errors'][number] {
  return { claim, worker, startedAt: toTime(startedAt), endedAt: toTime(endedAt), error };
}

/** `undefined` when the options of a foreign message are invalid: the task then has an error that says so. */
export function runOptions(
  options: MessageOptions,
  type: string,
  registry: Registry,
): RunOptions | undefined {
  try {
    return resolveRunOptions(options, registry.get(type)?.defaults ?? {});
  } catch {
    return undefined;
  }
}

/** A message of another program may be no plain CBOR after its type; its record is shown all the same. */
function readContent(content: Buffer): { type: string; input: unknown; options: MessageOptions } {
  try {
    return decodeContent(content);
  } catch {
    return { type: typeOfContent(content) ?? 'unknown', input: null, options: {} };
  }
}
