// Opens the connections over which commands and scripts go, and says in one place how they behave when Redis is away.

import type { Redis } from 'ioredis';
import {
  addressOf,
  type ClientOptions,
  type ConnectionSettings,
  createClient,
  outages,
  reconnectDelayMs,
} from './client.ts';
import { ClusterClient } from './cluster.ts';
import { nodeName } from './cluster-slots.ts';
import { NO_PRIMARY, THROWN_AWAY } from './connection-events.ts';
import { askSlots } from './dedicated-connection.ts';
import { createOutage } from './outage.ts';
import { addressOfNode, type NodeAddress } from './redis-url.ts';
import { explainBroken } from './refusal.ts';
import { buildScripts, defineScripts } from './scripts.ts';
import {
  checkBeforeReady,
  SCRIPT_FLAGS_MAJOR,
  type ServerFacts,
  versionOf,
  warnOfServer,
} from './server-check.ts';
import type { RedisFault } from './store-error.ts';
import { isUsable, waitUntilReady } from './when-ready.ts';

export interface CommandTiming {
  /** A command without an answer fails after this long; its outcome is then unknown. */
  readonly commandTimeoutMs?: number;
  /** A connection on which answers are due and nothing arrives is dropped after this long. */
  readonly socketTimeoutMs: number;
}

/** For callers that wait: they get an answer within two seconds, also when Redis gives none. */
export const FRONT_DOOR_TIMING: CommandTiming = { commandTimeoutMs: 1_000, socketTimeoutMs: 1_500 };

/** Why the client cannot be used just now; `undefined` when it can. */
export function faultOfConnection(client: Redis): RedisFault | undefined {
  if (isReady(client)) return undefined;
  const away = client instanceof ClusterClient ? client.primaries().find((node) => !isUsable(node)) : client;
  return outages.get(away ?? client)?.fault() ?? 'unreachable';
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
  const address = addressOf(settings);
  if (address.cluster) return openCluster(settings, name, timing, address.cluster);
  const client = createClient(settings, name, optionsOf(timing));
  checkBeforeReady(client, false, scriptsFor(client, settings));
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

function optionsOf({ commandTimeoutMs, socketTimeoutMs }: CommandTiming): ClientOptions {
  return {
    socketTimeout: socketTimeoutMs,
    ...(commandTimeoutMs === undefined ? {} : { commandTimeout: commandTimeoutMs }),
    retryStrategy: reconnectDelayMs,
  };
}

/** Makes the scripts known to a client. @returns told of each server that it reaches, of which another may need other ones */
function scriptsFor(client: Redis, { buildScripts: build = buildScripts, log }: ConnectionSettings) {
  let flags = true;
  defineScripts(client, build({ flags }));
  return (facts: ServerFacts): void => {
    warnOfServer(facts, log);
    // Another Redis may stand behind the connection that comes back.
    const knowsFlags = versionOf(facts)[0] >= SCRIPT_FLAGS_MAJOR;
    if (knowsFlags !== flags) defineScripts(client, build({ flags: knowsFlags }));
    flags = knowsFlags;
  };
}

/** A client of all nodes, with a connection to each primary. */
function openCluster(
  settings: ConnectionSettings,
  name: string,
  timing: CommandTiming,
  seeds: readonly NodeAddress[],
): Redis {
  const outage = createOutage(name, settings.log);
  const client = new ClusterClient({
    seeds,
    giveUpMs: timing.commandTimeoutMs ?? timing.socketTimeoutMs,
    openNode(node) {
      const address = addressOfNode(addressOf(settings), node);
      const one = createClient(settings, `${name}@${nodeName(node)}`, optionsOf(timing), address);
      checkBeforeReady(one, true, (facts) => onServer(facts));
      one.on('reconnecting', () => outages.get(one)?.away(async (error) => error));
      one.connect().catch(() => undefined);
      return one;
    },
    askSlots: (node) => askSlots(settings, node),
    onLook(error) {
      if (!error) return outage.back();
      outage.blame(error);
      outage.away(async () => error);
    },
  });
  outages.set(client, outage);
  const onServer = scriptsFor(client, settings);
  return client;
}

/** Whether queues are spread over several servers. */
export function isCluster(client: Redis): boolean {
  return client instanceof ClusterClient;
}

/** Waits until the connection can take commands; false when it cannot within `ms`. */
export function whenReady(client: Redis, ms: number): Promise<boolean> {
  return waitUntilReady(client, ms, () => isReady(client));
}

function isReady(client: Redis): boolean {
  return client instanceof ClusterClient ? client.isWhole() : isUsable(client);
}
