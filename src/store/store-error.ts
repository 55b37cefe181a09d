// What a failed Redis command means: Redis is away, Redis is full, it cannot be used as it is, or a fault of this
// program. The words of Redis are in its sources (`shared.*err` in server.c, acl.c, script.c of 6.2 to 8).

import { PopfleetError } from '../protocol/errors.ts';
import { ReplyError } from './ioredis.ts';
import { refusalOf } from './protocol-number.ts';

/** Why Redis cannot be used, in words that a probe may show to anyone. */
export type RedisFault =
  | 'readonly'
  | 'loading'
  | 'cluster node'
  | 'no cluster'
  | 'slot moving'
  | 'no such database'
  | 'no such primary'
  | 'not authenticated'
  | 'too many clients'
  | 'not permitted'
  | 'no replicas'
  | 'busy'
  | 'full'
  | 'unreachable';

/** How replies begin, or what is in them: within a script Redis 6.2 puts words of its own in front. The first match counts. */
const REPLIES: readonly (readonly [RegExp, RedisFault])[] = [
  [/(^|-)READONLY|(^|-)UNBLOCKED|(^|-)MASTERDOWN|read ?only replica/, 'readonly'],
  [/(^|-)LOADING/, 'loading'],
  [/(^|-)(ASK|TRYAGAIN) /, 'slot moving'],
  [/(^|-)(CLUSTERDOWN|MOVED|CROSSSLOT) |not allowed in cluster mode/, 'cluster node'],
  [/DB index is out of range|invalid DB index/, 'no such database'],
  [/^(NOAUTH|WRONGPASS|DENIED)|^ERR (invalid password|AUTH )/, 'not authenticated'],
  [/ERR max number of clients/, 'too many clients'],
  [/^NOPERM|ACL failure in script|The user executing the script can't/, 'not permitted'],
  [/(^|-)NOREPLICAS/, 'no replicas'],
  [/^BUSY /, 'busy'],
  [/(^|-)(OOM|MISCONF)/, 'full'],
];

/** Faults that last as long as the connection does: the name of the server may lead to another one by now. */
const OF_THE_CONNECTION: ReadonlySet<RedisFault | undefined> = new Set<RedisFault>([
  'readonly',
  'loading',
  'cluster node',
  'not authenticated',
  'no replicas',
]);

/** What ioredis says when the connection broke, or gave no answer in time. Its other errors have a class or a system call. */
const BROKEN =
  /^(Connection is closed|All sentinels are unreachable|Stream isn't writeable|Command timed out|Socket timeout|Command queue state error|connect ETIMEDOUT)|Please report this\.$/;
const BROKEN_CLASSES: ReadonlySet<string> = new Set(['MaxRetriesPerRequestError', 'AbortError']);

/** System calls of a socket (`code` and `syscall` in Node's errors), and the codes of TLS, which names none. */
const SOCKET_CALLS: ReadonlySet<string> = new Set(['connect', 'read', 'write', 'shutdown', 'getaddrinfo']);
const TLS_CODES =
  /^(ECONN\w+|EPIPE|EPROTO|ETIMEDOUT|ENOTFOUND|EAI_\w+|EHOSTUNREACH|ENETUNREACH|ERR_(TLS|SSL|OSSL)_\w+|CERT_\w+|\w+_CERT(_\w+)?|UNABLE_TO_\w+|HOSTNAME_MISMATCH)$/;

/** A fleet that is being upgraded may have another server by then. */
const UPGRADED_AFTER_SECONDS = 30;

/** What was found out about a server before a command was sent to it. */
export class UnusableRedis extends Error {
  readonly fault: RedisFault;

  constructor(fault: RedisFault, message: string) {
    super(message);
    this.name = 'UnusableRedis';
    this.fault = fault;
  }
}

/** Why Redis cannot be used, by an error of ioredis; `undefined` when it is no error of Redis or of the connection to it. */
export function faultOf(error: unknown): RedisFault | undefined {
  if (error instanceof UnusableRedis) return error.fault;
  if (!(error instanceof Error)) return undefined;
  const isReply = error instanceof ReplyError;
  // A server that has too many clients says so before it was asked anything, which confuses ioredis.
  const fault = isReply || BROKEN.test(error.message) ? faultOfReply(error.message) : undefined;
  return fault ?? (!isReply && isBroken(error) ? 'unreachable' : undefined);
}

/** What the text of an error reply means; `undefined` when it is about neither an outage nor a limit. */
export function faultOfReply(message: string): RedisFault | undefined {
  return REPLIES.find(([words]) => words.test(message))?.[1];
}

function isBroken(error: Error): boolean {
  if (BROKEN_CLASSES.has(error.name) || BROKEN.test(error.message)) return true;
  const { code = '', syscall = '' } = error as NodeJS.ErrnoException;
  return SOCKET_CALLS.has(syscall) || TLS_CODES.test(code);
}

/**
 * True when Redis cannot be used just now, and the same call may work in a moment: the connection is away or about to go, which it says
 * itself, in the log too, or the slot of the queue is on its way to another node.
 */
export function isOutage(error: unknown): boolean {
  return isReplyLost(error) || asksForNewConnection(error) || faultOf(error) === 'slot moving';
}

/** True when only a new connection can bring another answer: this one is to be thrown away. */
export function asksForNewConnection(error: unknown): boolean {
  return OF_THE_CONNECTION.has(faultOf(error));
}

/**
 * True when the command may have run although it failed: no reply came, so its outcome is unknown.
 * A reply, even an error, says what happened; a fault of this program sent nothing.
 */
export function isReplyLost(error: unknown): boolean {
  return faultOf(error) === 'unreachable';
}

/** True when the command was refused because there is no connection: it has not run. */
export function isNotSent(error: unknown): boolean {
  return error instanceof Error && error.message.includes('enableOfflineQueue');
}

/** The error to show a caller for a failed command. What Redis and the connection to it did not cause is a fault of ours. */
export function toStoreError(error: unknown): PopfleetError {
  if (error instanceof PopfleetError) return error;
  const refusal = refusalOf(error);
  if (refusal !== undefined) {
    return new PopfleetError('upgrade-needed', refusal, {
      retryAfterSeconds: UPGRADED_AFTER_SECONDS,
      cause: error,
    });
  }
  const fault = faultOf(error);
  if (fault === undefined) {
    return new PopfleetError('internal', 'popfleet failed. The log of the server has the cause.', {
      cause: error,
    });
  }
  if (fault === 'full') {
    return new PopfleetError('redis-full', 'Redis has no room left. Try again later.', {
      retryAfterSeconds: 5,
      cause: error,
    });
  }
  return new PopfleetError(
    'redis-unavailable',
    SENTENCES[fault] ?? 'Redis does not answer. Try again in a moment.',
    {
      retryAfterSeconds: 1,
      cause: error,
    },
  );
}

/** The same calls: they reject with what `toStoreError` makes of their failures. */
export function withStoreErrors<
  Calls extends { readonly [Name in keyof Calls]: (...args: never[]) => Promise<unknown> },
>(calls: Calls): Calls {
  const all = Object.entries(calls) as [string, (...args: unknown[]) => Promise<unknown>][];
  const wrapped = all.map(([name, call]) => [
    name,
    (...args: unknown[]) => call(...args).catch(throwStoreError),
  ]);
  return Object.fromEntries(wrapped) as Calls;
}

/** @throws PopfleetError that `toStoreError` makes of a failure */
export function throwStoreError(error: unknown): never {
  throw toStoreError(error);
}

const SENTENCES: Partial<Record<RedisFault, string>> = {
  readonly: 'This Redis takes no writes: it is a replica. Try again in a moment.',
  'not permitted': 'Redis does not let popfleet run a command. /readyz and the log of the server name it.',
  'cluster node': 'This node of a Redis Cluster does not serve the queue. Try again in a moment.',
  'slot moving': 'The queue is being moved to another node of the Redis Cluster. Try again in a moment.',
};
