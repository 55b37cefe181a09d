// The one error class of popfleet and its closed set of codes.

/** Every code with its HTTP status and the constant title of its problem document. */
export const ERROR_CODES = {
  'malformed-body': { status: 400, title: 'The body cannot be read' },
  'invalid-query': { status: 400, title: 'A query parameter is not valid' },
  'bad-host': { status: 400, title: 'The Host header is not one of this server' },
  'invalid-header': { status: 400, title: 'A header is not valid' },
  unauthenticated: { status: 401, title: 'A valid API key is needed' },
  forbidden: { status: 403, title: 'The key does not allow this' },
  'cross-site': { status: 403, title: 'Another site may not ask for this' },
  'not-found': { status: 404, title: 'Not found' },
  'unknown-type': { status: 404, title: 'task not found' },
  'method-not-allowed': { status: 405, title: 'Method not allowed' },
  'ambiguous-name': { status: 409, title: 'The name belongs to more than one' },
  'changed-meanwhile': { status: 409, title: 'It was changed by another call at the same time' },
  'confirm-needed': { status: 409, title: 'This has to be confirmed' },
  'invalid-state': { status: 409, title: 'The task is not in a state for this' },
  'too-large': { status: 413, title: 'The body is too large' },
  'unsupported-media-type': { status: 415, title: 'Unsupported media type' },
  'idempotency-key-reused': { status: 422, title: 'The idempotency key belongs to another request' },
  'invalid-input': { status: 422, title: 'The input is not valid' },
  'quota-exceeded': { status: 429, title: 'Too many requests of this caller' },
  internal: { status: 500, title: 'Internal error' },
  'redis-unavailable': { status: 503, title: 'Redis cannot be reached' },
  'redis-full': { status: 503, title: 'Redis is out of memory or disk' },
  'upgrade-needed': { status: 503, title: 'Another release keeps the queue' },
  'queue-full': { status: 503, title: 'The queue is full' },
  overloaded: { status: 503, title: 'Too many requests are waiting' },
  'shutting-down': { status: 503, title: 'The server is shutting down' },
  'task-failed': { status: 500, title: 'The task failed' },
  'task-cancelled': { status: 500, title: 'The task was cancelled' },
  'task-expired': { status: 500, title: 'The task was not started in time' },
  'timed-out': { status: 504, title: 'The time to wait is over' },
  'bad-config': { status: 500, title: 'The configuration is not valid' },
  'bad-definition': { status: 500, title: 'A task definition is not valid' },
} as const satisfies Record<string, { status: number; title: string }>;
export type ErrorCode = keyof typeof ERROR_CODES;

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERROR_CODES, text);
}

/** One fault within a value: a JSON Pointer in fragment form (RFC 6901, section 6), and the rule that the value breaks. */
export interface FieldFault {
  readonly pointer: string;
  readonly detail: string;
}

export interface ErrorDetails {
  readonly faults?: readonly FieldFault[];
  /** Seconds after which a repeat makes sense. */
  readonly retryAfterSeconds?: number;
  /** Further members of the problem document (RFC 9457, section 3.2). */
  readonly extensions?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** A failure with a code. `message` says what happened and what to do; it is safe to show to a caller. What it has not is no member: it is printed with all. */
export class PopfleetError extends Error {
  readonly code: ErrorCode;
  readonly faults: readonly FieldFault[];
  declare readonly retryAfterSeconds: number | undefined;
  declare readonly extensions: Readonly<Record<string, unknown>> | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    const { faults = [], cause, retryAfterSeconds, extensions } = details;
    super(message, cause === undefined ? {} : { cause });
    this.name = 'PopfleetError';
    this.code = code;
    this.faults = faults;
    if (retryAfterSeconds !== undefined) this.retryAfterSeconds = retryAfterSeconds;
    if (extensions !== undefined) this.extensions = extensions;
  }

  get status(): number {
    return ERROR_CODES[this.code].status;
  }
}
