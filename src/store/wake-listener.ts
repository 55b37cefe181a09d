// Listens for what cannot wait for the next heartbeat: a task due sooner, a cancelled task, a queue that is open again.

import type { Redis } from 'ioredis';
import type { Service } from '../lifecycle.ts';
import type { ConnectionSettings } from './client.ts';
import { openSubscriber } from './dedicated-connection.ts';
import { placesOf, wakeChannel } from './keys.ts';

/**
 * Listens to the queues' wake channels.
 * @param command a connection of `openCommandConnection` to the same Redis
 * @param onWake called with a queue and in how many ms something is due there; also with 0 after each (re)connect,
 *   because messages may have been missed
 */
export function createWakeListener(
  settings: ConnectionSettings,
  command: Redis,
  queues: readonly string[],
  onWake: (queue: string, dueMs: number) => void,
): Service {
  const channels = new Map(queues.flatMap(placesOf).map((place) => [wakeChannel(place), place.queue]));
  let client: Redis | undefined;

  return {
    async start() {
      client = openSubscriber(settings, [...channels.keys()], command);
      client.on('message', (channel: string, message: string) => {
        const queue = channels.get(channel);
        if (queue !== undefined) onWake(queue, Number(message) || 0);
      });
      client.on('ready', () => {
        for (const queue of queues) onWake(queue, 0);
      });
    },

    async stop() {
      client?.disconnect();
    },
  };
}
