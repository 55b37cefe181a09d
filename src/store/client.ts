// Makes clients of Redis as all of popfleet's are, and tells what happens to them.

import type { RedisOptions } from 'ioredis';
import { retryDelayMs } from '../lifecycle.ts';
import type { Log } from '../log.ts';
import { NO_PRIMARY, NOT_PERMITTED, THROWN_AWAY } from './connection-events.ts';
import { Redis } from './ioredis.ts';
import { createOutage, type Outage } from './outage.ts';
import { type RedisAddress, readRedisUrl } from './redis-url.ts';
import type { buildScripts, ScriptBuild } from './scripts.ts';
import { sentinelOptions, watchSentinels } from './sentinel.ts';
import { asksForNewConnection, faultOf } from './store-error.ts';

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

/** A peer that does not answer the end of a connection holds it no longer than this. */
const DISCONNECT_WITHIN_MS = 300;

/** Replies have the shapes of RESP2. */
export type ClientOptions = RedisOptions & { readonly replyMapping?: 'legacy' };

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

const RECONNECT_FIRST_MS = 50;
const RECONNECT_CAP_MS = 1_000;
/** A connection is thrown away for what Redis answers once in this time: a server that answers so on each new one still serves reads. */
const THROW_AWAY_EVERY_MS = 1_000;
/** How a node of a cluster says that another one has the slot, or will have it: the same connection may serve all others. */
const OF_ONE_SLOT = /^(MOVED|ASK|TRYAGAIN) /;

/** Why each client is away. */
export const outages = new WeakMap<Redis, Outage>();

/**
 * Makes a client as all of popfleet's are. What Redis answers is looked at here, for every command: an answer that only a
 * new connection can change (a primary has become a replica, Redis is loading, …) throws the connection away, so that the
 * address is looked up anew. ioredis hands each error reply to `reconnectOnError`, of scripts and blocked commands too.
 * @param onErrorReply called with each of them
 */
export function createClient(
  settings: ConnectionSettings,
  name: string,
  options: ClientOptions,
  address: RedisAddress = addressOf(settings),
  onErrorReply: (error: Error) => void = () => undefined,
): Redis {
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
      onErrorReply(error);
      if (OF_ONE_SLOT.test(error.message)) return false;
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

export function addressOf({ url, tls }: ConnectionSettings): RedisAddress {
  const address = readRedisUrl(url);
  return address.tls && tls ? { ...address, tls: { ...tls } } : address;
}

/**
 * Calls back when the connection is thrown away for what Redis has answered, or has come back from another server: others that lead to the
 * one before are as useless.
 * @returns calls back no more
 */
export function onThrownAway(client: Redis, listener: (node?: string) => void): () => void {
  client.on(THROWN_AWAY, listener);
  return () => void client.off(THROWN_AWAY, listener);
}

/** Calls back with each reply that says that this user of Redis may not do something. */
export function onNotPermitted(client: Redis, listener: (error: Error) => void): void {
  client.on(NOT_PERMITTED, listener);
}

/** How long a client waits before it connects anew, by the number of the try. */
export function reconnectDelayMs(attempt: number): number {
  return retryDelayMs(attempt, RECONNECT_FIRST_MS, RECONNECT_CAP_MS);
}
