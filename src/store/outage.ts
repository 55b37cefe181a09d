// Why a connection is away, and what the log says of it: each cause once, and when it is over.

import { type Log, maskPasswords } from '../log.ts';
import { faultOf, type RedisFault } from './store-error.ts';

export interface Outage {
  /** What happened to the connection: the next `away` is for this reason. */
  blame(error: Error): void;
  /** @param explain finds a better reason for one that says little; asked before the connection was ready only */
  away(explain: (error: Error | undefined) => Promise<Error | undefined>): void;
  back(): void;
  /** Why the connection is away; `undefined` when it is not. */
  fault(): RedisFault | undefined;
}

/** The same cause is logged once in this time, however often the connection comes and goes. */
const SAME_CAUSE_EVERY_MS = 10_000;
const CLOSED = 'the connection was closed';
/** Causes may name what differs each time. */
const MOST_CAUSES = 100;

/** @param name of the connection */
export function createOutage(name: string, log: Log): Outage {
  let blamed: Error | undefined;
  let fault: RedisFault | undefined = 'unreachable';
  let awaySince: number | undefined;
  let said: string | undefined;
  let explaining = false;
  const saidAt = new Map<string, number>();

  function say(reason: string): void {
    const now = performance.now();
    if (now - (saidAt.get(reason) ?? Number.NEGATIVE_INFINITY) < SAME_CAUSE_EVERY_MS) return;
    if (saidAt.size >= MOST_CAUSES) saidAt.clear();
    saidAt.set(reason, now);
    said = reason;
    log.warn({ connection: name, reason }, 'Redis is away, trying again until it is back');
  }

  function report(error: Error | undefined): void {
    fault = (error && faultOf(error)) ?? 'unreachable';
    const reason = error ? reasonOf(error) : CLOSED;
    // A connection that is closed again and again says nothing new.
    if (reason !== said && (reason !== CLOSED || said === undefined)) say(reason);
  }

  return {
    blame(error) {
      blamed = error;
    },

    away(explain) {
      const error = blamed;
      blamed = undefined;
      const isFirst = awaySince === undefined;
      awaySince ??= performance.now();
      if (isFirst) report(error);
      else if (!explaining) {
        explaining = true;
        const since = awaySince;
        void explain(error).then((reason) => {
          explaining = false;
          if (awaySince === since) report(reason);
        });
      }
    },

    back() {
      if (awaySince !== undefined && said !== undefined) {
        const downtimeMs = Math.round(performance.now() - awaySince);
        log.info({ connection: name, downtimeMs }, 'Redis is online again');
      }
      awaySince = undefined;
      blamed = undefined;
      said = undefined;
      fault = undefined;
    },

    fault: () => fault,
  };
}

/** A failed connection to a name with several addresses has no message of its own (`AggregateError`). */
export function reasonOf(error: Error): string {
  return maskPasswords(error.message || String((error as NodeJS.ErrnoException).code ?? error.name));
}
