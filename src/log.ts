// The log: JSON lines by pino. Anyone may import the type; only the composition root makes one.

import { type DestinationStream, type Logger, pino } from 'pino';

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

/** Without further members: those of a Redis error are the command's arguments, and with them payloads. */
function plainError(error: unknown): unknown {
  if (!(error instanceof Error)) return maskPasswords(String(error));
  return {
    type: error.name,
    message: maskPasswords(error.message),
    stack: error.stack === undefined ? undefined : maskPasswords(error.stack),
  };
}

/** Hides the passwords of URLs in a text. */
export function maskPasswords(text: string): string {
  return text.replaceAll(/(:\/\/[^\s/:@]*:)[^\s/@]+@/g, '$1***@');
}
