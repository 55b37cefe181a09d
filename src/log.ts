// The log: JSON lines by pino. Anyone may import the type; only the composition root makes one.

import { type DestinationStream, type Logger, pino } from 'pino';
import { toTaskError } from './protocol/task-error.ts';

export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'isLevelEnabled'>;

/** Nobody logs headers today; should somebody, keys stay out. */
const SECRET_HEADERS = ['headers', '*.headers'].flatMap((place) => [
  `${place}.authorization`,
  `${place}.cookie`,
  `${place}["set-cookie"]`,
]);

/** A logger that writes to stdout (or `destination`). Levels are pino's; `silent` writes nothing. */
export function createLog(
  level: string,
  bindings: Record<string, unknown>,
  destination?: DestinationStream,
): Log {
  return pino(
    {
      level,
      base: { pid: process.pid, ...bindings },
      serializers: { err: plainError },
      redact: SECRET_HEADERS,
    },
    destination,
  );
}

/**
 * Name, message, code, stack and causes. Without further members: those of a Redis error are the command's arguments, and
 * with them payloads.
 */
function plainError(error: unknown): unknown {
  const { name, ...described } = toTaskError(error);
  const mask = (_: string, value: unknown): unknown =>
    typeof value === 'string' ? maskPasswords(value) : value;
  return JSON.parse(JSON.stringify({ type: name, ...described }, mask)) as unknown;
}

/** Hides the passwords of URLs in a text. */
export function maskPasswords(text: string): string {
  return text.replaceAll(/(:\/\/[^\s/:@]*:)[^\s/@]+@/g, '$1***@');
}
