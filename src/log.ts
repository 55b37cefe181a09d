// The log: JSON lines by pino, or readable ones at a terminal. Modules import its type; only the composition root makes one.

import { createRequire } from 'node:module';
import { isatty } from 'node:tty';
import type { DestinationStream, Logger, pino as Pino } from 'pino';
import { createPrettyStream } from './pretty-log.ts';
import { toTaskError } from './protocol/task-error.ts';
import { createLineWriter } from './standard-streams.ts';

/** Required for the reason that store/ioredis.ts tells. */
const { pino } = createRequire(import.meta.url)('pino') as { readonly pino: typeof Pino };

/** The levels of pino, and `silent`. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'isLevelEnabled'>;

/** `auto`: `pretty` at a terminal, else `json`. */
export const LOG_FORMATS = ['auto', 'json', 'pretty'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

const STDOUT = 1;

/** No code logs headers today; should one do, keys stay out of the log. */
const SECRET_HEADERS = ['headers', '*.headers'].flatMap((place) => [
  `${place}.authorization`,
  `${place}.cookie`,
  `${place}["set-cookie"]`,
]);

/** A logger that writes to stdout (or `destination`). Levels are pino's; `silent` writes nothing. */
export function createLog(
  level: string,
  bindings: Record<string, unknown>,
  destination: DestinationStream = logDestination('auto'),
): Log {
  return pino(
    {
      level,
      base: { pid: process.pid, ...bindings },
      serializers: { err: plainError, error: masked },
      redact: SECRET_HEADERS,
    },
    destination,
  );
}

/** Stdout in the given format. Colors only at a terminal that has them; `NO_COLOR` is respected. */
export function logDestination(format: LogFormat): DestinationStream {
  const stdout = createLineWriter(STDOUT);
  const isTerminal = isatty(STDOUT);
  if (format === 'json' || (format === 'auto' && !isTerminal)) return stdout;
  return createPrettyStream(stdout, isTerminal && process.stdout.hasColors());
}

/**
 * Name, message, code, stack and causes. Without further members: those of a Redis error are the command's arguments, which
 * contain payloads.
 */
function plainError(error: unknown): unknown {
  const { name, ...described } = toTaskError(error);
  return masked({ type: name, ...described });
}

/** A copy of plain data without the passwords of the URLs in its texts. */
function masked(value: object): unknown {
  const mask = (_: string, part: unknown): unknown => (typeof part === 'string' ? maskPasswords(part) : part);
  return JSON.parse(JSON.stringify(value, mask)) as unknown;
}

/** Hides the passwords of URLs in a text. */
export function maskPasswords(text: string): string {
  return text.replaceAll(/(:\/\/[^\s/:@]*:)[^\s/@]+@/g, '$1***@');
}
