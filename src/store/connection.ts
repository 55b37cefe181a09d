// Opens connections to Redis and says in one place how they behave when Redis is away.

import { Redis, type RedisOptions } from 'ioredis';
import { delay, retryDelayMs } from '../lifecycle.ts';
import { type Log, maskPasswords } from '../log.ts';
import { buildScripts, defineScripts, type ScriptBuild } from './scripts.ts';

export interface ConnectionSettings {
  /** `redis://`, `rediss://`, or the path of a unix socket. */
  readonly url: string;
  readonly log: Log;
  /** Replaced in tests that bring a clock of their own. */
  readonly buildScripts?: (build: ScriptBuild) => ReturnType<typeof buildScripts>;
}

export interface CommandTiming {
  /** A command without an answer fails after this long; its outcome is then unknown. */
  readonly commandTimeoutMs?: number;
  /** A connection on which answers are due and nothing arrives is dropped after this long. */
  readonly socketTimeoutMs: number;
}

/** In-flight commands fail at the first close, and nothing is queued or sent again behind the caller's back. */
const FAIL_FAST = {
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  disableClientInfo: true,
  connectTimeout: 5_000,
  maxLoadingRetryTime: 1_000,
  lazyConnect: true,
} satisfies RedisOptions;

/** For whoever a person waits for: an answer within two seconds, also when Redis gives none. */
export const FRONT_DOOR_TIMING: CommandTiming = { commandTimeoutMs: 1_000, socketTimeoutMs: 1_500 };

const RECONNECT_FIRST_MS = 50;
const RECONNECT_CAP_MS = 1_000;
const UNBLOCK_RETRY_MS = 5;

/** The oldest Redis that can run popfleet (counted `RPOP`), and the one whose scripts may run at `maxmemory`. */
const OLDEST_VERSION = [6, 2] as const;
const SCRIPT_FLAGS_MAJOR = 7;

/**
 * Opens a connection for commands and scripts that reconnects by itself for ever. Commands fail at once while it is
 * away. The caller closes it with `disconnect()`.
 */
export function openCommandConnection(
  settings: ConnectionSettings,
  name: string,
  timing: CommandTiming,
): Redis {
  const build = settings.buildScripts ?? buildScripts;
  const client = new Redis(settings.url, {
    ...FAIL_FAST,
    connectionName: `popfleet:${name}`,
    socketTimeout: timing.socketTimeoutMs,
    ...(timing.commandTimeoutMs === undefined ? {} : { commandTimeout: timing.commandTimeoutMs }),
    retryStrategy: (attempt) => retryDelayMs(attempt, RECONNECT_FIRST_MS, RECONNECT_CAP_MS),
  });
  defineScripts(client, build({ flags: true }));
  client.on('ready', () => {
    checkServer(client, settings.log)
      .then((server) => {
        if (server.major < SCRIPT_FLAGS_MAJOR) defineScripts(client, build({ flags: false }));
      })
      .catch(() => undefined); // The connection broke again: the next `ready` asks anew.
  });
  reportOutages(client, name, settings.log);
  client.connect().catch(() => undefined); // The retry strategy goes on; the outage is reported by its events.
  return client;
}

/** Waits until the connection can take commands; false when it cannot within `ms`. */
export async function whenReady(client: Redis, ms: number): Promise<boolean> {
  if (isReady(client)) return true;
  const waiting = new AbortController();
  const onReady = (): void => waiting.abort();
  client.once('ready', onReady);
  await delay(ms, waiting.signal);
  client.off('ready', onReady);
  return isReady(client);
}

/** A connection that was reset keeps its status until its close is told; nothing can be written to it any more. */
function isReady(client: Redis): boolean {
  return client.status === 'ready' && client.stream.writable;
}

/**
 * Opens a connection that holds one blocking command at a time, and is thrown away at its first fault: a client that
 * reconnects would send the blocked command again and might never settle it.
 *
 * @param socketTimeoutMs must be longer than the block time
 * @throws Error when Redis cannot be reached
 */
export async function openBlockingConnection(
  settings: ConnectionSettings,
  name: string,
  socketTimeoutMs: number,
): Promise<Redis> {
  const client = new Redis(settings.url, {
    ...FAIL_FAST,
    connectionName: `popfleet:${name}`,
    socketTimeout: socketTimeoutMs,
    retryStrategy: null,
  });
  client.on('error', () => undefined); // Every command in flight rejects with the reason; an event says nothing more.
  try {
    await client.connect();
  } catch (error) {
    client.disconnect();
    throw error;
  }
  return client;
}

/** Opens a connection that listens to channels and comes back by itself; messages sent meanwhile are missed. */
export function openSubscriber(settings: ConnectionSettings, channels: readonly string[]): Redis {
  const client = new Redis(settings.url, {
    ...FAIL_FAST,
    connectionName: 'popfleet:wake',
    autoResubscribe: false,
    retryStrategy: (attempt) => retryDelayMs(attempt, RECONNECT_FIRST_MS, RECONNECT_CAP_MS),
  });
  client.on('error', () => undefined); // The command connection reports the same outage.
  client.on('ready', () => {
    client.subscribe(...channels).catch(() => undefined); // It broke again: the next `ready` subscribes.
  });
  client.connect().catch(() => undefined);
  return client;
}

/**
 * Ends the blocked command of another connection. Its reply still comes, so what it brings in that moment is not lost.
 * @param connectionId what `CLIENT ID` answered on the blocked connection
 * @param isBlocked false once the reply has come
 */
export async function unblock(command: Redis, connectionId: number, isBlocked: () => boolean): Promise<void> {
  while (isBlocked()) {
    // Some managed services forbid it; the wait then ends by itself after the block time.
    const ended = await command.client('UNBLOCK', connectionId).catch(() => 1);
    if (ended === 1) return;
    await delay(UNBLOCK_RETRY_MS); // The command is written, but Redis has not blocked on it yet.
  }
}

/** Looks at the Redis behind a fresh connection and says loudly what would lose tasks there. */
async function checkServer(client: Redis, log: Log): Promise<{ major: number }> {
  const [info, policy] = await Promise.all([
    client.info('server'),
    // Managed services may forbid CONFIG: then nothing is known, and nothing is said.
    client.config('GET', 'maxmemory-policy').catch(() => [] as unknown[]),
  ]);
  const version = /redis_version:(\d+)\.(\d+)/.exec(info);
  const [major, minor] = version ? [Number(version[1]), Number(version[2])] : [SCRIPT_FLAGS_MAJOR, 0];
  if (major < OLDEST_VERSION[0] || (major === OLDEST_VERSION[0] && minor < OLDEST_VERSION[1])) {
    log.error(
      { version: `${major}.${minor}` },
      'this Redis is too old: popfleet needs 6.2, better 7.0 or later',
    );
  } else if (major < SCRIPT_FLAGS_MAJOR) {
    log.warn(
      { version: `${major}.${minor}` },
      'before Redis 7.0 running tasks cannot be recorded while memory is full',
    );
  }
  const eviction = (policy as unknown[])[1];
  if (typeof eviction === 'string' && eviction !== 'noeviction') {
    log.error({ policy: eviction }, 'this Redis may evict tasks: set maxmemory-policy to noeviction');
  }
  return { major };
}

/** Says once that Redis is away, and once that it is back and for how long it was gone. */
function reportOutages(client: Redis, name: string, log: Log): void {
  let awaySince: number | undefined;
  let reason = 'closed';
  client.on('error', (error: Error) => {
    reason = maskPasswords(error.message);
  });
  client.on('reconnecting', () => {
    if (awaySince !== undefined) return;
    awaySince = performance.now();
    log.warn({ connection: name, reason }, 'Redis is away, trying again until it is back');
  });
  client.on('ready', () => {
    if (awaySince !== undefined) {
      const downtimeMs = Math.round(performance.now() - awaySince);
      log.info({ connection: name, downtimeMs }, 'Redis is online again');
    }
    awaySince = undefined;
  });
}
