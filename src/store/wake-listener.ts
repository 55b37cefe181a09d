// Listens for what cannot wait for the next heartbeat: tasks that are handed to a worker, a task due sooner, a cancelled task, a
// queue that is open again.

import type { Redis } from 'ioredis';
import type { Service } from '../lifecycle.ts';
import type { ConnectionSettings } from './client.ts';
import { type Hand, readHand } from './consumer.ts';
import { openSubscriber } from './dedicated-connection.ts';
import { handChannel, placesOf, wakeChannel } from './keys.ts';

export interface WakeEars {
  /**
   * Called with a queue and in how many ms something is due there; also with 0 after each (re)connect, because messages may
   * have been missed.
   */
  readonly onWake: (queue: string, dueMs: number) => void;
  /** Called with tasks that were handed to the worker. */
  readonly onHand: (queue: string, hand: Hand) => void;
}

/**
 * Listens to the channels of some queues: those that wake, and those over which a worker is handed tasks. As long as it is open
 * scripts may hand it some.
 * @param command a connection of `openCommandConnection` to the same Redis
 * @param worker its name
 */
export function createWakeListener(
  settings: ConnectionSettings,
  command: Redis,
  queues: readonly string[],
  worker: string,
  { onWake, onHand }: WakeEars,
): Service {
  const places = queues.flatMap(placesOf);
  const wakes = new Map(places.map((place) => [wakeChannel(place), place.queue]));
  const hands = new Map(places.map((place) => [handChannel(place, worker), place.queue]));
  let client: Redis | undefined;

  return {
    async start() {
      client = openSubscriber(settings, [...wakes.keys(), ...hands.keys()], command);
      client.on('messageBuffer', (channel: Buffer, message: Buffer) => {
        const name = channel.toString();
        const handed = hands.get(name);
        if (handed !== undefined) return onHand(handed, readHand(handed, message));
        const woken = wakes.get(name);
        if (woken !== undefined) onWake(woken, Number(message.toString()) || 0);
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
