// Whether a server could do its work with this Redis just now: it asks for a write, because tasks are accepted by writes.

import type { Redis } from 'ioredis';
import { within } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import { onNotPermitted } from './client.ts';
import { faultOfConnection } from './connection.ts';
import { PROBE_PLACE } from './keys.ts';
import { watchPermissions } from './permissions.ts';
import { runScript } from './scripts.ts';
import { faultOf } from './store-error.ts';

/** Never rejects. */
export type AskReadiness = () => Promise<Readiness>;

interface Readiness {
  /** What is wrong with Redis, in a few words; `undefined` when nothing is. */
  readonly fault: string | undefined;
  /** Whole milliseconds that the look at it took. */
  readonly ms: number;
}

const ANSWERS_WITHIN_MS = 1_000;
/** Many probes at once cost one look. */
const FRESH_MS = 500;

/** @param client a connection of `openCommandConnection` */
export function createReadiness(client: Redis, log: Log): AskReadiness {
  const permissions = watchPermissions(client, log);
  let last: { readonly at: number; readonly seen: Promise<Readiness> } | undefined;

  async function look(): Promise<string | undefined> {
    const refused = await permissions();
    if (refused.length > 0) return `not permitted: ${refused.join(', ')}`;
    await runScript(client, 'probe', PROBE_PLACE, ['write']);
    return undefined;
  }

  function wordsFor(error: unknown): string | undefined {
    // At `maxmemory` scripts of Redis 6.2 cannot write. A server is of use then: it says `redis-full`, and shows tasks.
    if (error instanceof Error && /(^|-)OOM/.test(error.message)) return undefined;
    const fault = faultOf(error);
    if (fault === undefined) log.error({ err: error }, 'readiness could not be asked for');
    return fault ?? 'internal error';
  }

  // What was seen before is worth nothing then.
  const forget = (): void => {
    last = undefined;
  };
  client.on('close', forget);
  onNotPermitted(client, forget);

  return async () => {
    const away = faultOfConnection(client);
    if (away !== undefined) return { fault: away, ms: 0 };
    if (!last || performance.now() - last.at > FRESH_MS) {
      const at = performance.now();
      const answered = look().then(
        (fault) => ({ fault }),
        (error: unknown) => ({ fault: wordsFor(error) }),
      );
      const seen = within(answered, ANSWERS_WITHIN_MS).then((answer) => ({
        fault: answer ? answer.fault : 'unreachable',
        ms: Math.round(performance.now() - at),
      }));
      last = { at, seen };
    }
    return last.seen;
  };
}
