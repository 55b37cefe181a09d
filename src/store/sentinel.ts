// How connections find their primary through Sentinels, as the guidelines for clients say
// (https://redis.io/docs/latest/develop/reference/sentinel-clients/): each new connection asks them anew. Sentinels close the connections
// of a primary that has become a replica; one that is gone without a word shows itself by its silence.

import type { Redis, RedisOptions } from 'ioredis';
import type { RedisAddress } from './redis-url.ts';
import { UnusableRedis } from './store-error.ts';

/** Milliseconds for the connection to a Sentinel or to the primary: one host that is gone shall not hold up the search for another one. */
const CONNECT_WITHIN_MS = 1_500;
const ANSWER_WITHIN_MS = 1_000;
/** How ioredis begins its error when a round over all Sentinels has found no primary. */
const FOUND_NONE = /^All sentinels are unreachable/;
/** How ioredis ends what it says of a Sentinel that does not know the name: by the reply to its question for the address, or for the others. */
const UNKNOWN_NAME = /invalid reply: null$|ERR No such master with that name$/;

type SearchOptions = Pick<
  RedisOptions,
  | 'sentinelRetryStrategy'
  | 'connectTimeout'
  | 'sentinelCommandTimeout'
  | 'enableTLSForSentinelMode'
  | 'sentinelTLS'
>;

/**
 * Options of a client that looks for its primary; none for an address of one server.
 * @param retryDelayMs milliseconds until the Sentinels are asked again, by the number of the try; `null` = the connection fails then
 */
export function sentinelOptions(
  { sentinels, tls }: RedisAddress,
  retryDelayMs: ((attempt: number) => number) | null,
): SearchOptions {
  if (!sentinels) return {};
  return {
    sentinelRetryStrategy: retryDelayMs ?? (() => null),
    connectTimeout: CONNECT_WITHIN_MS,
    sentinelCommandTimeout: ANSWER_WITHIN_MS,
    ...(tls ? { enableTLSForSentinelMode: true, sentinelTLS: tls } : {}),
  };
}

/**
 * Calls back after each round over all Sentinels that has found no primary.
 * @param onNone gets why; the fault `no such primary` when Sentinels answer, and none of them knows the name
 */
export function watchSentinels(
  client: Redis,
  { name = '' }: RedisAddress,
  onNone: (error: Error) => void,
): void {
  let faults: string[] = [];
  client.on('sentinelError', (error: Error) => faults.push(error.message));
  client.on('ready', () => {
    faults = [];
  });
  client.on('error', (error: Error) => {
    if (!FOUND_NONE.test(error.message)) return;
    const unknown = faults.filter((fault) => UNKNOWN_NAME.test(fault));
    const isUnknown = unknown.length > 0 && unknown.length === faults.length;
    const reason = isUnknown
      ? `the Sentinels know no primary named "${name}"`
      : faults.join('; ') || error.message;
    faults = [];
    onNone(new UnusableRedis(isUnknown ? 'no such primary' : 'unreachable', reason));
  });
}
