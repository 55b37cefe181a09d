// Opens connections that do one thing only: they block, listen, or look once.

import type { Redis } from 'ioredis';
import { delay, within } from '../lifecycle.ts';
import { PopfleetError } from '../protocol/errors.ts';
import {
  addressOf,
  type ConnectionSettings,
  createClient,
  onThrownAway,
  reconnectDelayMs,
} from './client.ts';
import { ClusterClient } from './cluster.ts';
import { nodeName } from './cluster-slots.ts';
import { NO_PRIMARY } from './connection-events.ts';
import { reasonOf } from './outage.ts';
import { addressOfNode, type NodeAddress, type RedisAddress } from './redis-url.ts';
import { explainBroken } from './refusal.ts';
import { checkBeforeReady } from './server-check.ts';
import { faultOf, type RedisFault, UnusableRedis } from './store-error.ts';
import { waitUntilReady } from './when-ready.ts';

const UNBLOCK_RETRY_MS = 5;
const SUBSCRIBER_SOCKET_TIMEOUT_MS = 3_000;
/** A program that starts waits for a look at its Redis no longer than this. */
const START_CHECK_MS = 2_000;
/** A program that starts finds out within this time where its queues are. */
const FOUND_WITHIN_MS = 5_000;
/** A node that is asked for its cluster has this long to answer. */
const LOOK_WITHIN_MS = 1_500;

/** What no wait can mend. */
const WRONG_ADDRESS: ReadonlySet<RedisFault | undefined> = new Set<RedisFault>([
  'cluster node',
  'no cluster',
  'no such database',
  'no such primary',
]);

/**
 * Opens a connection that holds one blocking command at a time, and is thrown away at its first fault: a client that
 * reconnects would send the blocked command again and might never settle it.
 *
 * @param socketTimeoutMs must be longer than the block time
 * @param command a connection to the same Redis: it may find sooner that this is no use any more, and this one goes with it
 * @param key in a cluster, the connection leads to the node that serves it
 * @throws Error when Redis cannot be reached
 */
export async function openBlockingConnection(
  settings: ConnectionSettings,
  name: string,
  socketTimeoutMs: number,
  command: Redis,
  key: string,
): Promise<Redis> {
  let address = addressOf(settings);
  let node: NodeAddress | undefined;
  if (command instanceof ClusterClient) {
    await waitUntilReady(command, FOUND_WITHIN_MS, () => command.nodeOf(key) !== undefined);
    node = command.nodeOf(key)?.address;
    if (!node) throw new UnusableRedis('unreachable', 'no node of the cluster is known to serve the queue');
    address = addressOfNode(address, node);
  }
  const client = await openOnce(settings, name, socketTimeoutMs, address, (error) => {
    if (node && command instanceof ClusterClient) command.learn(error, node);
  });
  const off = onThrownAway(command, (away) => {
    if (!node || away === nodeName(node)) client.disconnect();
  });
  client.once('end', off);
  return client;
}

/**
 * Opens a connection that does not come back.
 * @param onErrorReply called with each error reply
 * @throws Error when Redis cannot be reached
 */
async function openOnce(
  settings: ConnectionSettings,
  name: string,
  socketTimeoutMs: number,
  address: RedisAddress,
  onErrorReply: (error: Error) => void = () => undefined,
): Promise<Redis> {
  const options = { socketTimeout: socketTimeoutMs, retryStrategy: null };
  const client = createClient(settings, name, options, address, onErrorReply);
  let cause: Error | undefined;
  const blame = (error: Error): void => {
    // What was found out about the server says more than what ioredis says of the connection.
    if (!(cause instanceof UnusableRedis)) cause = error;
  };
  client.on('error', blame);
  client.on(NO_PRIMARY, blame);
  checkBeforeReady(client, isOfCluster(settings), () => undefined);
  try {
    await client.connect();
  } catch (error) {
    client.disconnect();
    // The promise knows only that the connection was closed.
    throw (await explainBroken(address, cause)) ?? error;
  }
  return client;
}

function isOfCluster(settings: ConnectionSettings): boolean {
  return addressOf(settings).cluster !== undefined;
}

/**
 * Asks one node of a cluster which slots are where. @returns the reply to `CLUSTER SLOTS`
 * @throws Error when it cannot be reached, or does not answer in time
 */
export async function askSlots(settings: ConnectionSettings, node: NodeAddress): Promise<readonly unknown[]> {
  const opening = openOnce(settings, 'slots', LOOK_WITHIN_MS, addressOfNode(addressOf(settings), node));
  const asking = opening.then((client) => client.cluster('SLOTS').finally(() => client.disconnect()));
  const reply = await within(asking, LOOK_WITHIN_MS);
  if (reply) return reply;
  // It ends by itself, by its time limits.
  asking.catch(() => undefined);
  throw new UnusableRedis('unreachable', `${nodeName(node)} does not answer`);
}

/**
 * Opens a connection that listens to channels and comes back by itself; messages sent meanwhile are missed.
 * @param command a connection to the same Redis: it sends no commands itself, so it is thrown away together with that one. In a cluster
 *   every node has all messages, so it leads to any of them
 */
export function openSubscriber(
  settings: ConnectionSettings,
  channels: readonly string[],
  command: Redis,
): Redis {
  const options = {
    autoResubscribe: false,
    socketTimeout: SUBSCRIBER_SOCKET_TIMEOUT_MS,
    retryStrategy: (attempt: number) => {
      if (command instanceof ClusterClient) Object.assign(client.options, command.anyAddress());
      return reconnectDelayMs(attempt);
    },
  };
  let address = addressOf(settings);
  if (command instanceof ClusterClient) address = addressOfNode(address, command.anyAddress());
  const client = createClient(settings, 'wake', options, address);
  checkBeforeReady(client, isOfCluster(settings), () => undefined);
  onThrownAway(command, (away) => {
    const { host = '', port = 0 } = client.options;
    if (away !== undefined && away !== nodeName({ host, port })) return;
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
 * @throws PopfleetError `bad-config`: it is a node of a cluster and was not named as one, or the other way round, or has no such database,
 *   or its Sentinels do not know the primary
 */
export async function checkAtStart(settings: ConnectionSettings): Promise<void> {
  const address = addressOf(settings);
  const places = address.cluster?.map((node) => addressOfNode(address, node)) ?? [address];
  const faults = await Promise.all(places.map((place) => faultAtStart(settings, place)));
  const wrong = faults.find((error) => WRONG_ADDRESS.has(faultOf(error)));
  // One node of a cluster that is what it should be leads to all of them.
  if (wrong === undefined || faults.includes(undefined)) return;
  const reason = reasonOf(wrong);
  throw new PopfleetError(
    'bad-config',
    `REDIS_URL: ${faultOf(wrong) === 'no such database' ? `there is no such database (${reason})` : reason}`,
  );
}

/** Why a server cannot be used; `undefined` when it can, or gives no answer in time. */
async function faultAtStart(settings: ConnectionSettings, address: RedisAddress): Promise<Error | undefined> {
  const opening = openOnce(settings, 'start', START_CHECK_MS, address);
  opening.then(
    (client) => client.disconnect(),
    () => undefined,
  );
  try {
    await within(opening, START_CHECK_MS);
    return undefined;
  } catch (error) {
    return error as Error;
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
        const ended = await nodeBehind(client, command)
          .client('UNBLOCK', id)
          .catch(() => 1);
        if (ended === 1) return;
        await delay(UNBLOCK_RETRY_MS); // The command is written, but Redis has not blocked on it yet.
      }
    },
  };
}

/** A connection for commands to the server that the other one leads to. */
function nodeBehind({ options: { host = '', port = 0 } }: Redis, command: Redis): Redis {
  return (command instanceof ClusterClient && command.nodeNamed(nodeName({ host, port }))) || command;
}
