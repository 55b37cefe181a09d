// Looks at the server behind a fresh connection before a command is sent to it: can it serve popfleet at all?

import type { Redis } from 'ioredis';
import type { Log } from '../log.ts';
import { faultOf, UnusableRedis } from './store-error.ts';

/** The lines of `INFO`, by name. Empty when this user may not ask for them: then nothing is known of the server. */
export type ServerFacts = ReadonlyMap<string, string>;

/** The oldest Redis that can run popfleet (counted `RPOP`), and the one whose scripts may run at `maxmemory`. */
const OLDEST_VERSION = [6, 2] as const;
export const SCRIPT_FLAGS_MAJOR = 7;

/**
 * Puts a check in front of `ready`: a connection to a server that cannot be used is closed, and `error` says why. So
 * nothing is ever written to a replica, to a node of a cluster, or to database 0 because another one could not be selected.
 * @param isOfCluster whether it has to be a node of a cluster; otherwise it must be none
 * @param onServer called with each server that can be used, before the connection is ready
 */
export function checkBeforeReady(
  client: Redis,
  isOfCluster: boolean,
  onServer: (facts: ServerFacts) => void,
): void {
  let notSelected: Error | undefined;
  client.on('connecting', () => {
    notSelected = undefined;
  });
  client.on('error', (error: Error & { readonly command?: { readonly name: string } }) => {
    // ioredis reports a failed SELECT, and goes on in database 0.
    if (error.command?.name === 'select') notSelected = error;
  });

  async function check(): Promise<void> {
    // As an error of its own: what is thrown here is emitted as `error` once more.
    if (notSelected) {
      throw new UnusableRedis(faultOf(notSelected) ?? 'no such database', notSelected.message);
    }
    const facts = readFacts(await client.info().catch(unlessNotPermitted));
    refuseUnusable(facts, isOfCluster);
    onServer(facts);
  }

  // The ready check of ioredis 6 waits on the same connection while Redis loads, and knows of loading alone. `null` lets
  // the connection be ready; an error is emitted as `error`, and closes it.
  async function readyCheck(done: (error: unknown, facts?: object) => void): Promise<void> {
    let failed: unknown = null;
    try {
      await check();
    } catch (error) {
      failed = error;
    }
    done(failed, {});
  }
  Object.assign(client, { _readyCheck: readyCheck });
}

function unlessNotPermitted(error: unknown): string {
  if (faultOf(error) === 'not permitted') return '';
  throw error;
}

function readFacts(info: string): ServerFacts {
  return new Map(
    info.split('\r\n').flatMap((line) => {
      const end = line.indexOf(':');
      return end < 0 ? [] : [[line.slice(0, end), line.slice(end + 1)] as const];
    }),
  );
}

/** @throws UnusableRedis */
function refuseUnusable(facts: ServerFacts, isOfCluster: boolean): void {
  const mode = facts.get('cluster_enabled');
  if (mode === '1' && !isOfCluster) {
    throw new UnusableRedis('cluster node', 'this is a Redis Cluster: use redis+cluster://host1,host2');
  }
  if (mode === '0' && isOfCluster) {
    throw new UnusableRedis('no cluster', 'this Redis is not part of a Redis Cluster: use redis://host');
  }
  if (facts.get('loading') === '1') throw new UnusableRedis('loading', 'LOADING: Redis is loading its data');
  if (facts.get('role') === 'slave') {
    throw new UnusableRedis('readonly', 'READONLY: this is a replica, and popfleet needs the primary');
  }
}

/** Major and minor version; what is not known counts as new enough. */
export function versionOf(facts: ServerFacts): readonly [number, number] {
  const found = /^(\d+)\.(\d+)/.exec(facts.get('redis_version') ?? '');
  return found ? [Number(found[1]), Number(found[2])] : [SCRIPT_FLAGS_MAJOR, 0];
}

/** Says loudly what would lose tasks there. */
export function warnOfServer(facts: ServerFacts, log: Log): void {
  const [major, minor] = versionOf(facts);
  const version = `${major}.${minor}`;
  if (major < OLDEST_VERSION[0] || (major === OLDEST_VERSION[0] && minor < OLDEST_VERSION[1])) {
    log.error({ version }, 'this Redis is too old: popfleet needs 6.2, better 7.0 or later');
  } else if (major < SCRIPT_FLAGS_MAJOR) {
    log.warn({ version }, 'before Redis 7.0 running tasks cannot be recorded while memory is full');
  }
  const policy = facts.get('maxmemory_policy') ?? 'noeviction';
  if (policy !== 'noeviction') {
    log.error({ policy }, 'this Redis may evict tasks: set maxmemory-policy to noeviction');
  }
}
