// The log: JSON lines by pino. Anyone may import the type; only the composition root makes one.

import { type DestinationStream, type Logger, pino } from 'pino';

export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'isLevelEnabled'>;

/** A logger that writes to stdout (or `destination`). Levels are pino's; `silent` writes nothing. */
export function createLog(
  level: string,
  bindings: Record<string, unknown>,
  destination?: DestinationStream,
): Log {
  return pino(
    { level, base: { pid: process.pid, ...bindings }, serializers: { err: plainError } },
    destination,
  );
}

/** Without further members: those of a Redis error are the command's arguments, and with them payloads. */
function plainError(error: unknown): unknown {
  if (!(error instanceof Error)) return String(error);
  return { type: error.name, message: error.message, stack: error.stack };
}
