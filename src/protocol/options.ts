// The options of a task. Those of a call override those of the definition, which override the defaults here.

import * as v from 'valibot';
import { compact } from './compact.ts';
import { InstantSchema, LONGEST_DELAY_MS } from './instant.ts';
import { LANES } from './lane.ts';
import { IDEMPOTENCY_KEY, QUEUE_NAME } from './names.ts';
import { noList, validate } from './validate.ts';
import { WebhookEntries } from './webhook.ts';

const DAY_MS = 86_400_000;

function integer(min: number, max: number) {
  const message = `must be a whole number from ${min} to ${max}`;
  return v.pipe(v.number(message), v.integer(message), v.minValue(min, message), v.maxValue(max, message));
}

export const BackoffEntries = v.strictObject({
  type: v.optional(v.picklist(['fixed', 'exponential'], 'must be fixed or exponential'), 'exponential'),
  /** Delay before the second attempt. */
  baseMs: v.optional(integer(0, 30 * DAY_MS), 1_000),
  /** Factor of the delay for each further failure; `fixed` ignores it. */
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
const BackoffSchema = noList(BackoffEntries);
export type Backoff = v.InferOutput<typeof BackoffSchema>;

const QueueSchema = v.pipe(v.string(), v.regex(QUEUE_NAME, `must match ${QUEUE_NAME.source}`));

export const OnEndEntries = v.strictObject({
  type: v.string('must be text'),
  /** An empty object unless given. */
  input: v.optional(v.unknown()),
  queue: v.optional(QueueSchema),
});

const MOST_TAGS = 16;
const TAG_CHARS = 64;

/** A tag without what stands around it. */
export const TagSchema = v.pipe(
  v.string('must be text'),
  v.trim(),
  v.minLength(1, 'must not be empty'),
  v.maxLength(TAG_CHARS, `must have at most ${TAG_CHARS} characters`),
  v.check((tag) => !/\p{Cc}/u.test(tag), 'must have no control characters'),
);

const TagsSchema = v.pipe(
  v.array(TagSchema, 'must be a list of texts'),
  v.maxLength(MOST_TAGS, `must be at most ${MOST_TAGS} tags`),
);

/** In the memory of the primary, on its disk too, or in the memory of replicas too. */
const DURABILITIES = ['memory', 'disk', 'replicas'] as const;
export type Durability = (typeof DURABILITIES)[number];
export const DurabilitySchema = v.picklist(DURABILITIES, `must be one of ${DURABILITIES.join(', ')}`);

/** One option of a task: its schema, when it is read, and where it may be set. */
interface Option {
  readonly schema: v.GenericSchema<unknown, unknown>;
  /**
   * `run`: the worker acts on it; it is in the message when the call has set it, and is shown with the task.
   * `accept`: it acts when the task is accepted.
   */
  readonly readBy: 'run' | 'accept';
  /** A definition may set it for all its tasks. */
  readonly ofType: boolean;
  /** A schedule may set it for the tasks that it makes. */
  readonly ofSchedule: boolean;
}

/** Every option. A call may set each of them. */
const OPTIONS = {
  maxAttempts: { schema: integer(1, 1_000), readBy: 'run', ofType: true, ofSchedule: true },
  backoff: { schema: BackoffSchema, readBy: 'run', ofType: true, ofSchedule: true },
  /** The handler is stopped this long after it has begun. No timer of Node waits for 25 days. */
  timeoutMs: { schema: integer(1, 24 * DAY_MS), readBy: 'run', ofType: true, ofSchedule: true },
  /** How long the finished task is kept. */
  resultTtlMs: { schema: integer(0, LONGEST_DELAY_MS), readBy: 'run', ofType: true, ofSchedule: true },
  queue: {
    schema: QueueSchema,
    readBy: 'accept',
    ofType: true,
    ofSchedule: true,
  },
  priority: {
    schema: v.picklist(LANES, `must be one of ${LANES.join(', ')}`),
    readBy: 'accept',
    ofType: true,
    ofSchedule: true,
  },
  /** What it is found by. */
  tags: { schema: TagsSchema, readBy: 'accept', ofType: true, ofSchedule: true },
  /** How long the idempotency key of a task finds it. */
  keyWindowMs: { schema: integer(1, LONGEST_DELAY_MS), readBy: 'accept', ofType: true, ofSchedule: false },
  /** A task that was not started for this long does not run any more. */
  ttlMs: { schema: integer(1, LONGEST_DELAY_MS), readBy: 'accept', ofType: true, ofSchedule: true },
  /** Where Redis has the task before its sender is answered. */
  durability: {
    schema: DurabilitySchema,
    readBy: 'accept',
    ofType: true,
    ofSchedule: false,
  },
  delayMs: { schema: integer(0, LONGEST_DELAY_MS), readBy: 'accept', ofType: false, ofSchedule: false },
  runAt: { schema: InstantSchema, readBy: 'accept', ofType: false, ofSchedule: false },
  expiresAt: { schema: InstantSchema, readBy: 'accept', ofType: false, ofSchedule: false },
  /** The task that is accepted when this one ends, whichever way it does. */
  onEnd: {
    schema: noList(OnEndEntries),
    readBy: 'accept',
    ofType: false,
    ofSchedule: false,
  },
  /** Who is told when it ends. */
  webhook: { schema: noList(WebhookEntries), readBy: 'accept', ofType: true, ofSchedule: true },
  /** Idempotency key: the same key in the same queue finds the task that was made with it. */
  key: {
    schema: v.pipe(
      v.string(),
      v.regex(IDEMPOTENCY_KEY, 'must be 1 to 255 printable ASCII characters without blanks'),
    ),
    readBy: 'accept',
    ofType: false,
    ofSchedule: false,
  },
} as const satisfies Readonly<Record<string, Option>>;
type Options = typeof OPTIONS;

/** Optional entries of the options whose field has this value. */
type Entries<Field extends keyof Option, Value> = {
  [Name in keyof Options as Options[Name][Field] extends Value ? Name : never]: v.OptionalSchema<
    Options[Name]['schema'],
    undefined
  >;
};

function entriesWith<const Field extends keyof Option, const Value extends Option[Field]>(
  field: Field,
  value: Value,
): Entries<Field, Value> {
  const chosen = Object.entries<Option>(OPTIONS).filter(([, option]) => option[field] === value);
  const entries = chosen.map(([name, { schema }]) => [name, v.optional(schema)]);
  return Object.fromEntries(entries) as Entries<Field, Value>;
}

/** Schemas of the options that the worker acts on. */
export const runEntries = entriesWith('readBy', 'run');
/** The options of one call, beside its type and input. */
export const callEntries = { ...runEntries, ...entriesWith('readBy', 'accept') };
/** The options of a schedule, beside its type, its input and its times. */
export const scheduleEntries = entriesWith('ofSchedule', true);

/** One call: type, input and options. */
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

/**
 * Validates a call. Most have no options: those need no schema.
 * @param at JSON Pointer of the call within the request
 * @throws PopfleetError `invalid-input` that names every field
 */
export function demandCall(value: unknown, at?: string): Call {
  return isBareCall(value) ? value : validate(CallSchema, value, at);
}

function isBareCall(value: unknown): value is Call {
  if (typeof value !== 'object' || value === null) return false;
  for (const field in value) if (field !== 'type' && field !== 'input') return false;
  return 'input' in value && 'type' in value && typeof value.type === 'string';
}

/** `defaults` of a definition. */
export const DefaultsSchema = v.strictObject(entriesWith('ofType', true));
export type TaskDefaults = v.InferInput<typeof DefaultsSchema>;

/** `options` of a message. Any program may have written it, and a later release may know more. */
const MessageOptionsSchema = v.object(runEntries);
type GivenOptions = v.InferOutput<typeof MessageOptionsSchema>;

/** Complete options of a run; those that neither call nor definition sets, and that have no default, are missing. */
export type RunOptions = Omit<GivenOptions, 'maxAttempts' | 'backoff'> & {
  maxAttempts: number;
  backoff: Backoff;
};

const DEFAULTS: RunOptions = { maxAttempts: 3, backoff: v.parse(BackoffSchema, {}) };

/** The options of runs whose message has none: those of the definition, else the defaults. */
export function runOptionsOfType(defaults: TaskDefaults): RunOptions {
  return overrideRunOptions(DEFAULTS, defaults);
}

/**
 * The options of a run: those of the message, else those of its type.
 * @throws valibot.ValiError when the message carries options that are not valid
 */
export function overrideRunOptions(ofType: RunOptions, message: unknown): RunOptions {
  return { ...ofType, ...compact(v.parse(MessageOptionsSchema, message)) };
}

/** As `overrideRunOptions`, from the defaults of a definition: for what is looked at once. */
export function resolveRunOptions(message: unknown, defaults: TaskDefaults): RunOptions {
  return overrideRunOptions(runOptionsOfType(defaults), message);
}

/** How long a finished task is kept, in milliseconds, also when other options of its message are invalid. */
export function resultTtlOf(
  { resultTtlMs }: Readonly<Record<string, unknown>>,
  ofType: RunOptions,
): number | undefined {
  return v.is(OPTIONS.resultTtlMs.schema, resultTtlMs) ? resultTtlMs : ofType.resultTtlMs;
}

const RUN_OPTION_NAMES = Object.keys(runEntries) as (keyof typeof runEntries)[];

/** The options of a call that the message carries; `undefined` when there are none. */
export function toMessageOptions(
  call: Partial<Record<keyof typeof runEntries, unknown>>,
): Record<string, unknown> | undefined {
  let options: Record<string, unknown> | undefined;
  for (const name of RUN_OPTION_NAMES) {
    if (call[name] !== undefined) (options ??= {})[name] = call[name];
  }
  return options;
}
