// Connections over which workers of a test are handed tasks: what arrives stays in the socket until the test reads it.

import type { Redis } from 'ioredis';

export interface Socket {
  /** What has arrived and was not read. */
  readonly unread: Buffer[];
  /** Its worker has died, or has left. */
  close(): Promise<void>;
}

export interface Ears {
  open(channel: string): Promise<Socket>;
  /** Resolves when all that was sent until now has arrived. */
  arrived(): Promise<void>;
  /** Closes all sockets. */
  closeAll(): Promise<void>;
  disconnect(): void;
}

/** @param client of the same Redis */
export async function openEars(client: Redis): Promise<Ears> {
  const subscriber = client.duplicate({ lazyConnect: true, enableOfflineQueue: true });
  await subscriber.connect();
  const sockets = new Map<string, Socket>();
  subscriber.on('messageBuffer', (channel: Buffer, message: Buffer) => {
    sockets.get(channel.toString())?.unread.push(message);
  });
  return {
    async open(channel) {
      const socket: Socket = {
        unread: [],
        async close() {
          if (sockets.delete(channel)) await subscriber.unsubscribe(channel);
        },
      };
      sockets.set(channel, socket);
      await subscriber.subscribe(channel);
      return socket;
    },
    async arrived() {
      if (sockets.size > 0) await subscriber.ping();
    },
    async closeAll() {
      for (const socket of sockets.values()) await socket.close();
    },
    disconnect: () => subscriber.disconnect(),
  };
}
