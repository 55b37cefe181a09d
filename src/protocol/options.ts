// What a caller or a definition may ask for a task. The call overrides the definition, the definition the defaults here.

import * as v from 'valibot';
import { InstantSchema, LONGEST_DELAY_MS } from './instant.ts';
import { LANES } from './lane.ts';
import { IDEMPOTENCY_KEY, QUEUE_NAME } from './names.ts';

const DAY_MS = 86_400_000;

function integer(min: number, max: number) {
  const message = `must be a whole number from ${min} to ${max}`;
  return v.pipe(v.number(message), v.integer(message), v.minValue(min, message), v.maxValue(max, message));
}

export const BackoffEntries = v.strictObject({
  type: v.optional(v.picklist(['fixed', 'exponential'], 'must be fixed or exponential'), 'exponential'),
  /** Delay before the second attempt. */
  baseMs: v.optional(integer(0, 30 * DAY_MS), 1_000),
  /** What each further failure multiplies it with; `fixed` ignores it. */
  factor: v.optional(
    v.pipe(
      v.number('must be a number'),
      v.minValue(1, 'must be at least 1'),
      v.maxValue(100, 'must be at most 100'),
    ),
    2,
  ),
  /** Longest delay. */
  capMs: v.optional(integer(0, 30 * DAY_MS), 300_000),
  /** `full`: any time between 0 and the delay, so that tasks that failed together do not come back together. */
  jitter: v.optional(v.picklist(['full', 'none'], 'must be full or none'), 'full'),
});
/** A list would pass as an object without entries. */
const BackoffSchema = v.pipe(
  v.custom<v.InferInput<typeof BackoffEntries>>(
    (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
    'must be an object',
  ),
  BackoffEntries,
);
export type Backoff = v.InferOutput<typeof BackoffSchema>;

/** What the worker acts on. It travels in the message, as far as the call has set it. */
const runEntries = {
  maxAttempts: integer(1, 1_000),
  backoff: BackoffSchema,
  /** The handler is stopped this long after it has begun. No timer of Node waits for 25 days. */
  timeoutMs: integer(1, 24 * DAY_MS),
  /** How long the finished task is kept. */
  resultTtlMs: integer(0, LONGEST_DELAY_MS),
};

/** What the server acts on when it accepts the task. */
const enqueueEntries = {
  queue: v.pipe(v.string(), v.regex(QUEUE_NAME, `must match ${QUEUE_NAME.source}`)),
  priority: v.picklist(LANES, `must be one of ${LANES.join(', ')}`),
  /** How long the idempotency key of a task finds it. */
  keyWindowMs: integer(1, LONGEST_DELAY_MS),
  /** A task that was not started for this long does not run any more. */
  ttlMs: integer(1, LONGEST_DELAY_MS),
};

const key = v.pipe(
  v.string(),
  v.regex(IDEMPOTENCY_KEY, 'must be 1 to 255 printable ASCII characters without blanks'),
);

/** The options of one call, beside its type and input. */
export const callEntries = {
  ...partial({ ...runEntries, ...enqueueEntries }),
  ...partial({
    delayMs: integer(0, LONGEST_DELAY_MS),
    runAt: InstantSchema,
    expiresAt: InstantSchema,
    /** Idempotency key: the same key in the same queue finds the task that was made with it. */
    key,
  }),
};

/** What one call may ask for. */
export const CallSchema = v.pipe(
  v.strictObject({ type: v.string(), input: v.unknown(), ...callEntries }),
  v.forward(
    v.partialCheck(
      [['delayMs'], ['runAt']],
      ({ delayMs, runAt }) => delayMs === undefined || runAt === undefined,
      'cannot be given together with runAt',
    ),
    ['delayMs'],
  ),
  v.forward(
    v.partialCheck(
      [['ttlMs'], ['expiresAt']],
      ({ ttlMs, expiresAt }) => ttlMs === undefined || expiresAt === undefined,
      'cannot be given together with expiresAt',
    ),
    ['ttlMs'],
  ),
);
export type Call = v.InferOutput<typeof CallSchema>;
export type CallInput = v.InferInput<typeof CallSchema>;

/** `defaults` of a definition. */
export const DefaultsSchema = v.strictObject(partial({ ...runEntries, ...enqueueEntries }));
export type TaskDefaults = v.InferInput<typeof DefaultsSchema>;

/** `options` of a message. Any program may have written it, and a later release may know more. */
const MessageOptionsSchema = v.object(partial(runEntries));

/** Complete options of a run. */
export interface RunOptions {
  readonly maxAttempts: number;
  readonly backoff: Backoff;
  readonly timeoutMs: number | undefined;
  readonly resultTtlMs: number | undefined;
}

const DEFAULT_MAX_ATTEMPTS = 3;

/**
 * What holds for a run: the message's options, else the definition's, else the defaults.
 * @throws valibot.ValiError when the message carries options that are not valid
 */
export function resolveRunOptions(message: unknown, defaults: TaskDefaults): RunOptions {
  const own = v.parse(MessageOptionsSchema, message);
  return {
    maxAttempts: own.maxAttempts ?? defaults.maxAttempts ?? DEFAULT_MAX_ATTEMPTS,
    backoff: own.backoff ?? v.parse(BackoffSchema, defaults.backoff ?? {}),
    timeoutMs: own.timeoutMs ?? defaults.timeoutMs,
    resultTtlMs: own.resultTtlMs ?? defaults.resultTtlMs,
  };
}

/** How long a task is kept whose options, for another reason, are not valid; in milliseconds. */
export function resultTtlOf(
  { resultTtlMs }: Readonly<Record<string, unknown>>,
  defaults: TaskDefaults,
): number | undefined {
  return v.is(runEntries.resultTtlMs, resultTtlMs) ? resultTtlMs : defaults.resultTtlMs;
}

const RUN_OPTION_NAMES = Object.keys(runEntries) as (keyof typeof runEntries)[];

/** The part of a call's options that travels in the message; `undefined` when there is none. */
export function toMessageOptions(
  call: Partial<Record<keyof typeof runEntries, unknown>>,
): Record<string, unknown> | undefined {
  let options: Record<string, unknown> | undefined;
  for (const name of RUN_OPTION_NAMES) {
    if (call[name] !== undefined) (options ??= {})[name] = call[name];
  }
  return options;
}

type Optional<Entries extends v.ObjectEntries> = {
  [Name in keyof Entries]: v.OptionalSchema<Entries[Name], undefined>;
};

function partial<Entries extends v.ObjectEntries>(entries: Entries): Optional<Entries> {
  return Object.fromEntries(
    Object.entries(entries).map(([name, schema]) => [name, v.optional(schema)]),
  ) as Optional<Entries>;
}
