// The options of one load run, and their defaults.

import { DEFAULT_QUEUE } from '../protocol/names.ts';

export interface LoadOptions {
  /** Root URL of the server's HTTP API; a path prefix is kept. */
  readonly url: URL;
  /** API key with the scopes `enqueue` and `read`; `undefined` where the server needs none. */
  readonly key?: string | undefined;
  /** How many tasks to send. */
  readonly tasks: number;
  readonly type: string;
  readonly input: unknown;
  readonly queue: string;
  /** How many requests are open at the same time at most. */
  readonly inFlight: number;
  /** How long accepted tasks may take to finish, in milliseconds from the end of sending. */
  readonly drainTimeoutMs: number;
  /** False: send only, and prove nothing. */
  readonly wait: boolean;
  /** True: the summary is one JSON document. */
  readonly json: boolean;
  /** How long one task is sent again while the server refuses it, in milliseconds. */
  readonly patienceMs: number;
  /** How long a connection may stay silent before its request counts as broken, in milliseconds. */
  readonly requestTimeoutMs: number;
  /** Ends the run early; what has been counted so far is still reported. */
  readonly signal?: AbortSignal;
}

export const LOAD_DEFAULTS = {
  url: new URL('http://127.0.0.1:3000'),
  tasks: 1_000,
  type: 'add',
  input: { one: 1, two: 2 },
  queue: DEFAULT_QUEUE,
  inFlight: 64,
  drainTimeoutMs: 600_000,
  wait: true,
  json: false,
  patienceMs: 60_000,
  requestTimeoutMs: 30_000,
} as const satisfies LoadOptions;
