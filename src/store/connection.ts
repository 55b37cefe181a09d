// Opens connections to Redis and says in one place how they behave when Redis is away.

import type { RedisOptions } from 'ioredis';
import { delay, retryDelayMs, within } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import { PopfleetError } from '../protocol/errors.ts';
import { Redis } from './ioredis.ts';
import { createOutage, type Outage, reasonOf } from './outage.ts';
import { type RedisAddress, readRedisUrl } from './redis-url.ts';
import { explainBroken } from './refusal.ts';
import { buildScripts, defineScripts, type ScriptBuild } from './scripts.ts';
import { sentinelOptions, watchSentinels } from './sentinel.ts';
import { checkBeforeReady, SCRIPT_FLAGS_MAJOR, versionOf, warnOfServer } from './server-check.ts';
import { asksForNewConnection, faultOf, type RedisFault, UnusableRedis } from './store-error.ts';

export interface ConnectionSettings {
  /** As `REDIS_URL` takes it. */
  readonly url: string;
  readonly tls?: TlsFiles | undefined;
  readonly log: Log;
  /** Replaced in tests that bring a clock of their own. */
  readonly buildScripts?: (build: ScriptBuild) => ReturnType<typeof buildScripts>;
}

/** What an address with TLS trusts and shows, each as the text of a PEM file. */
export interface TlsFiles {
  /** Authorities that are trusted, instead of those of the system. */
  readonly ca?: string | undefined;
  /** Certificate of this client and its key, where Redis asks for one. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

export interface CommandTiming {
  /** A command without an answer fails after this long; its outcome is then unknown. */
  readonly commandTimeoutMs?: number;
  /** A connection on which answers are due and nothing arrives is dropped after this long. */
  readonly socketTimeoutMs: number;
}

/** A peer that does not answer the end of a connection holds it no longer than this. */
const DISCONNECT_WITHIN_MS = 300;

/** Replies have the shapes of RESP2. */
type ClientOptions = RedisOptions & { readonly replyMapping?: 'legacy' };

/** In-flight commands fail at the first close, and nothing is queued or sent again behind the caller's back. */
const FAIL_FAST = {
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  disableClientInfo: true,
  connectTimeout: 5_000,
  disconnectTimeout: DISCONNECT_WITHIN_MS,
  lazyConnect: true,
} satisfies ClientOptions;

/** For callers that wait: they get an answer within two seconds, also when Redis gives none. */
export const FRONT_DOOR_TIMING: CommandTiming = { commandTimeoutMs: 1_000, socketTimeoutMs: 1_500 };

const RECONNECT_FIRST_MS = 50;
const RECONNECT_CAP_MS = 1_000;
const UNBLOCK_RETRY_MS = 5;
/** A connection is thrown away for what Redis answers once in this time: a server that answers so on each new one still serves reads. */
const THROW_AWAY_EVERY_MS = 1_000;
const SUBSCRIBER_SOCKET_TIMEOUT_MS = 3_000;
/** A program that starts waits for a look at its Redis no longer than this. */
const START_CHECK_MS = 2_000;

/** Events of a client beside those of ioredis. */
const THROWN_AWAY = 'popfleet:thrown-away';
const NO_PRIMARY = 'popfleet:no-primary';
const NOT_PERMITTED = 'popfleet:not-permitted';

const outages = new WeakMap<Redis, Outage>();

/**
 * Makes a client as all of popfleet's are. What Redis answers is looked at here, for every command: an answer that only a
 * new connection can change (a primary has become a replica, Redis is loading, …) throws the connection away, so that the
 * address is looked up anew. ioredis hands each error reply to `reconnectOnError`, of scripts and blocked commands too.
 */
function createClient(settings: ConnectionSettings, name: string, options: ClientOptions): Redis {
  const address = addressOf(settings);
  const outage = createOutage(name, settings.log);
  let thrownAwayAt = Number.NEGATIVE_INFINITY;
  const all: ClientOptions = {
    ...address,
    ...FAIL_FAST,
    ...sentinelOptions(address, options.retryStrategy === null ? null : reconnectDelayMs),
    ...options,
    connectionName: `popfleet:${name}`,
    reconnectOnError: (error: Error) => {
      if (faultOf(error) === 'not permitted') client.emit(NOT_PERMITTED, error);
      const now = performance.now();
      if (!asksForNewConnection(error) || now - thrownAwayAt < THROW_AWAY_EVERY_MS) return false;
      thrownAwayAt = now;
      outage.blame(error);
      client.emit(THROWN_AWAY);
      return true;
    },
  };
  const client = new Redis(all);
  outages.set(client, outage);
  client.on('error', (error: Error) => outage.blame(error));
  client.on('ready', () => outage.back());
  if (address.sentinels) {
    watchSentinels(client, address, (error) => {
      outage.blame(error);
      client.emit(NO_PRIMARY, error);
    });
  }
  return client;
}

function addressOf({ url, tls }: ConnectionSettings): RedisAddress {
  const address = readRedisUrl(url);
  return address.tls && tls ? { ...address, tls: { ...tls } } : address;
}

/** Why the client cannot be used just now; `undefined` when it can. */
export function faultOfConnection(client: Redis): RedisFault | undefined {
  return isReady(client) ? undefined : (outages.get(client)?.fault() ?? 'unreachable');
}

/**
 * Calls back when the connection is thrown away for what Redis has answered, or has come back from another server: others that lead to the
 * one before are as useless.
 * @returns calls back no more
 */
export function onThrownAway(client: Redis, listener: () => void): () => void {
  client.on(THROWN_AWAY, listener);
  return () => void client.off(THROWN_AWAY, listener);
}

/** Calls back with each reply that says that this user of Redis may not do something. */
export function onNotPermitted(client: Redis, listener: (error: Error) => void): void {
  client.on(NOT_PERMITTED, listener);
}

/**
 * Opens a connection for commands and scripts that reconnects by itself for ever. Commands fail at once while it is
 * away. The caller closes it with `disconnect()`.
 * @throws PopfleetError `bad-config` when the address cannot be read
 */
export function openCommandConnection(
  settings: ConnectionSettings,
  name: string,
  timing: CommandTiming,
): Redis {
  const build = settings.buildScripts ?? buildScripts;
  const client = createClient(settings, name, {
    socketTimeout: timing.socketTimeoutMs,
    ...(timing.commandTimeoutMs === undefined ? {} : { commandTimeout: timing.commandTimeoutMs }),
    retryStrategy: reconnectDelayMs,
  });
  let flags = true;
  defineScripts(client, build({ flags }));
  checkBeforeReady(client, (facts) => {
    warnOfServer(facts, settings.log);
    // Another Redis may stand behind the connection that comes back.
    const knowsFlags = versionOf(facts)[0] >= SCRIPT_FLAGS_MAJOR;
    if (knowsFlags !== flags) defineScripts(client, build({ flags: knowsFlags }));
    flags = knowsFlags;
  });
  const address = addressOf(settings);
  client.on('reconnecting', () => outages.get(client)?.away((error) => explainBroken(address, error)));
  // The search goes on within the same try to connect.
  client.on(NO_PRIMARY, (error: Error) => outages.get(client)?.away(async () => error));
  let server: string | undefined;
  client.on('ready', () => {
    const { remoteAddress, remotePort } = client.stream;
    const before = server;
    server = remoteAddress && `${remoteAddress} ${remotePort}`;
    if (before !== undefined && before !== server) client.emit(THROWN_AWAY);
  });
  client.connect().catch(() => undefined); // The retry strategy goes on; the outage is reported by its events.
  return client;
}

function reconnectDelayMs(attempt: number): number {
  return retryDelayMs(attempt, RECONNECT_FIRST_MS, RECONNECT_CAP_MS);
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

/** A connection that was reset keeps its status until its close is emitted; nothing can be written to it any more. */
function isReady(client: Redis): boolean {
  return client.status === 'ready' && client.stream.writable;
}

/**
 * Opens a connection that holds one blocking command at a time, and is thrown away at its first fault: a client that
 * reconnects would send the blocked command again and might never settle it.
 *
 * @param socketTimeoutMs must be longer than the block time
 * @param command a connection to the same Redis: it may find sooner that this is no use any more, and this one goes with it
 * @throws Error when Redis cannot be reached
 */
export async function openBlockingConnection(
  settings: ConnectionSettings,
  name: string,
  socketTimeoutMs: number,
  command?: Redis,
): Promise<Redis> {
  const client = createClient(settings, name, { socketTimeout: socketTimeoutMs, retryStrategy: null });
  const off = command && onThrownAway(command, () => client.disconnect());
  client.once('end', () => off?.());
  let cause: Error | undefined;
  const blame = (error: Error): void => {
    // What was found out about the server says more than what ioredis says of the connection.
    if (!(cause instanceof UnusableRedis)) cause = error;
  };
  client.on('error', blame);
  client.on(NO_PRIMARY, blame);
  checkBeforeReady(client, () => undefined);
  try {
    await client.connect();
  } catch (error) {
    client.disconnect();
    // The promise knows only that the connection was closed.
    throw (await explainBroken(addressOf(settings), cause)) ?? error;
  }
  return client;
}

/**
 * Opens a connection that listens to channels and comes back by itself; messages sent meanwhile are missed.
 * @param command a connection to the same Redis: it sends no commands itself, so it is thrown away together with that one
 */
export function openSubscriber(
  settings: ConnectionSettings,
  channels: readonly string[],
  command: Redis,
): Redis {
  const client = createClient(settings, 'wake', {
    autoResubscribe: false,
    socketTimeout: SUBSCRIBER_SOCKET_TIMEOUT_MS,
    retryStrategy: reconnectDelayMs,
  });
  checkBeforeReady(client, () => undefined);
  onThrownAway(command, () => {
    // One that is connecting anew already is left alone: ioredis would give it up.
    if (client.status === 'ready' || client.status === 'connect') client.disconnect(true);
  });
  client.on('ready', () => {
    client.subscribe(...channels).catch((error: unknown) => {
      // When it broke again the next `ready` subscribes, and the command connection reports the outage.
      if (faultOf(error) === 'not permitted')
        settings.log.error({ err: error }, 'cannot hear of what is due sooner');
    });
  });
  client.connect().catch(() => undefined);
  return client;
}

/**
 * Looks at the Redis of a program that starts. One that does not answer now may do so later, but what no wait can mend
 * should stop the start.
 * @throws PopfleetError `bad-config`: it is a node of a cluster, or has no such database, or its Sentinels do not know the primary
 */
export async function checkAtStart(settings: ConnectionSettings): Promise<void> {
  const opening = openBlockingConnection(settings, 'start', START_CHECK_MS);
  opening.then(
    (client) => client.disconnect(),
    () => undefined,
  );
  try {
    await within(opening, START_CHECK_MS);
  } catch (error) {
    const fault = faultOf(error);
    if (fault !== 'cluster node' && fault !== 'no such database' && fault !== 'no such primary') return;
    const reason = reasonOf(error as Error);
    throw new PopfleetError(
      'bad-config',
      `REDIS_URL: ${fault === 'no such database' ? `there is no such database (${reason})` : reason}`,
    );
  }
}

export interface Blocker {
  /** Sends a command that blocks, one at a time. */
  run<Reply>(send: () => Promise<Reply>): Promise<Reply>;
  /** Ends the blocked command from outside. Its reply still comes, so what it brings in that moment is not lost. */
  unblock(): Promise<void>;
}

/**
 * @param client a connection of `openBlockingConnection`
 * @param command a connection that may send `CLIENT UNBLOCK` while the other one is blocked
 * @throws Error when the client broke; it is disconnected then
 */
export async function createBlocker(client: Redis, command: Redis): Promise<Blocker> {
  const id = await client.client('ID').catch((error: unknown) => {
    client.disconnect();
    throw error;
  });
  let isBlocked = false;

  return {
    async run(send) {
      isBlocked = true;
      try {
        return await send();
      } finally {
        isBlocked = false;
      }
    },

    async unblock() {
      while (isBlocked) {
        // Some managed services forbid it; the wait then ends by itself after the block time.
        const ended = await command.client('UNBLOCK', id).catch(() => 1);
        if (ended === 1) return;
        await delay(UNBLOCK_RETRY_MS); // The command is written, but Redis has not blocked on it yet.
      }
    },
  };
}
