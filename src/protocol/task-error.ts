// What is stored of an error that a task ended with: plain, bounded, safe to encode.

/** Stored at most: a message may quote a whole payload, a stack may be endless. */
export const ERROR_MESSAGE_CHARS = 4_096;
export const ERROR_STACK_CHARS = 8_192;

export interface TaskError {
  readonly name: string;
  readonly message: string;
  readonly stack?: string;
  /** Equal for failures with the same cause (`fingerprintOf`). */
  readonly fingerprint?: string;
  /** Set when the thread of the task was ended from outside, or ended under it. */
  readonly killCause?: KillCause;
  /** Milliseconds from ending the thread until it was gone. */
  readonly killLatencyMs?: number;
}

export const KILL_CAUSES = ['timeout', 'cancel', 'out-of-memory', 'thread-exit', 'process-exit'] as const;
export type KillCause = (typeof KILL_CAUSES)[number];

/** Turns whatever a handler threw into a bounded, plain error. Never throws, also for hostile getters. */
export function toTaskError(thrown: unknown): TaskError {
  try {
    if (thrown instanceof Error) {
      const error = { name: cut(thrown.name, 256), message: cut(thrown.message, ERROR_MESSAGE_CHARS) };
      return typeof thrown.stack === 'string'
        ? { ...error, stack: cut(thrown.stack, ERROR_STACK_CHARS) }
        : error;
    }
    return { name: 'Error', message: cut(String(thrown), ERROR_MESSAGE_CHARS) };
  } catch {
    return { name: 'Error', message: 'the handler threw a value that cannot be read' };
  }
}

function cut(value: unknown, limit: number): string {
  const text = String(value);
  return text.length <= limit ? text : `${text.slice(0, limit - 1)}…`;
}
