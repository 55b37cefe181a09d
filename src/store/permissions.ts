// Which commands this user of Redis may not run: asked with each connection, and again when Redis refuses one.

import type { Redis } from 'ioredis';
import type { Log } from '../log.ts';
import { onNotPermitted } from './client.ts';
import { PROBE_PLACE } from './keys.ts';
import { runScript } from './scripts.ts';
import { faultOf } from './store-error.ts';

/** Many refusals at once cost one look. */
const LOOK_EVERY_MS = 1_000;

/**
 * Looks after the permissions of a connection, and logs what is missing when it changes.
 * @param client a connection of `openCommandConnection`
 * @returns names of the commands that are refused; it looks again as long as there are any. It rejects with the error of
 *   ioredis when Redis does not answer
 */
export function watchPermissions(client: Redis, log: Log): () => Promise<readonly string[]> {
  let refused: Promise<readonly string[]> | undefined;
  let lookedAt = Number.NEGATIVE_INFINITY;
  let logged = '';

  async function look(): Promise<readonly string[]> {
    const names = await ask(client);
    const text = names.join(', ');
    if (text !== logged) {
      if (names.length > 0)
        log.error({ commands: names }, 'this user of Redis may not run commands that popfleet needs');
      else log.info('this user of Redis may run all commands now');
    }
    logged = text;
    return names;
  }

  function lookAgain(): Promise<readonly string[]> {
    lookedAt = performance.now();
    const looking = look();
    refused = looking;
    const forget = (): void => {
      if (refused === looking) refused = undefined;
    };
    // What is refused may be permitted soon; what was not answered is not known.
    looking.then((names) => names.length > 0 && forget(), forget);
    return looking;
  }

  const lookNow = (): void => {
    lookAgain().catch(() => undefined); // Its connection reports the outage.
  };
  client.on('ready', lookNow);
  onNotPermitted(client, () => {
    refused = undefined;
    if (performance.now() - lookedAt > LOOK_EVERY_MS) lookNow();
  });
  return () => refused ?? lookAgain();
}

async function ask(client: Redis): Promise<readonly string[]> {
  try {
    const names = (await runScript(client, 'probe', PROBE_PLACE, ['all'])) as Buffer[];
    return names.map(String);
  } catch (error) {
    if (faultOf(error) !== 'not permitted') throw error;
    // Not even scripts may be run: the reply names the command.
    return [/'([^']+)' command/.exec((error as Error).message)?.[1] ?? 'eval'];
  }
}
