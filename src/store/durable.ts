// Tasks that Redis has in more than its memory before they are answered: on its disk, or on replicas. `WAIT` and `WAITAOF` speak for
// the writes of their own connection only, and hold back what is sent behind them. So each level has a connection of its own.

import type { Redis } from 'ioredis';
import { PopfleetError } from '../protocol/errors.ts';
import type { Durability } from '../protocol/options.ts';
import type { ConnectionSettings } from './client.ts';
import { openCommandConnection } from './connection.ts';
import { homeOf } from './keys.ts';
import { createProducer, type Producer } from './producer.ts';
import { createRounds, isOfReplica, type Rounds, type Way } from './rounds.ts';
import { faultOf, isOutage, throwStoreError } from './store-error.ts';
import { twice } from './twice.ts';

/** Beyond the memory of the primary. */
type DurableLevel = Exclude<Durability, 'memory'>;

export interface DurableSettings {
  /** How many replicas a task of the level `replicas` has to be on. */
  readonly durableReplicas: number;
  /** Milliseconds for which a level is waited for. */
  readonly durableWaitMs: number;
}

export interface DurableProducers {
  /**
   * Asks before anything is sent, for calls that send several tasks or none.
   * @throws PopfleetError `invalid-input` when the Redis of this queue never reaches the level
   */
  demand(level: DurableLevel, queue: string): Promise<void>;
  /** What accepts tasks up to a level. Its verdicts name every task, with the level that was reached. */
  at(level: DurableLevel): Producer;
  stop(): void;
}

interface DurableProducer {
  readonly client: Redis;
  readonly rounds: Rounds;
  readonly producer: Producer;
}

/** An answer of Redis itself may take this much longer than the wait. */
const ANSWER_WITHIN_MS = 1_000;
const SOCKET_WITHIN_MS = 1_500;

/** Nothing is connected before the first task asks for a level. @param name of the connections, beside the level */
export function createDurableProducers(
  connection: ConnectionSettings,
  name: string,
  settings: DurableSettings,
): DurableProducers {
  const open = new Map<DurableLevel, DurableProducer>();
  const timing = {
    commandTimeoutMs: settings.durableWaitMs + ANSWER_WITHIN_MS,
    socketTimeoutMs: settings.durableWaitMs + SOCKET_WITHIN_MS,
  };

  function openAt(level: DurableLevel): DurableProducer {
    const known = open.get(level);
    if (known) return known;
    const client = openCommandConnection(connection, `${name}-${level}`, timing);
    const rounds = createRounds(client, level === 'disk' ? toDisk(settings) : toReplicas(settings));
    const opened = { client, rounds, producer: createProducer(client, rounds) };
    open.set(level, opened);
    return opened;
  }

  return {
    async demand(level, queue) {
      const { client, rounds } = openAt(level);
      await twice(client, () => rounds.demand(homeOf(queue))).catch(throwStoreError);
    },

    at: (level) => openAt(level).producer,

    stop() {
      for (const { client } of open.values()) client.disconnect();
    },
  };
}

function toReplicas({ durableReplicas, durableWaitMs }: DurableSettings): Way {
  return {
    demand: async () => undefined,
    async wait(server) {
      const reached = await server.call('WAIT', durableReplicas, durableWaitMs);
      return Number(reached) >= durableReplicas ? 'replicas' : 'memory';
    },
  };
}

const NO_DISK =
  'This Redis cannot say that a task is on its disk: that needs `appendonly yes`, and Redis 7.2 (Valkey 7.2) or later or `appendfsync always`. ' +
  'Ask for `replicas` or `memory` instead.';

function toDisk({ durableWaitMs }: DurableSettings): Way {
  /** @returns whether its file was written within so many milliseconds */
  async function isWritten(server: Redis, ms: number): Promise<boolean | 'never'> {
    try {
      const [local] = (await server.call('WAITAOF', 1, 0, ms)) as [unknown];
      return Number(local) === 1;
    } catch (error) {
      if (passes(error) || isOfReplica(error)) throw error;
      const isAlways = await writesAlways(server);
      // It is not Redis that has no answer, but this user who may not ask.
      if (!isAlways && faultOf(error) === 'not permitted') throw error;
      // Redis knows no WAITAOF, or keeps no append-only file.
      return isAlways || 'never';
    }
  }

  return {
    async demand(server) {
      if ((await isWritten(server, 1)) === 'never') throw new PopfleetError('invalid-input', NO_DISK);
    },
    wait: async (server) => ((await isWritten(server, durableWaitMs)) === true ? 'disk' : 'memory'),
  };
}

/** Whether Redis answers a write only when its disk has it. */
async function writesAlways(server: Redis): Promise<boolean> {
  try {
    const flat = (await server.call('CONFIG', 'GET', 'append*')) as string[];
    const valueOf = (name: string): string | undefined => flat[flat.indexOf(name) + 1];
    return valueOf('appendonly') === 'yes' && valueOf('appendfsync') === 'always';
  } catch (error) {
    if (passes(error)) throw error;
    return false;
  }
}

/** Whether the same question may bring another answer in a moment. */
function passes(error: unknown): boolean {
  return isOutage(error) || faultOf(error) === 'busy';
}
