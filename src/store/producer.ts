// Everything that accepts tasks: the server's side of the queue.

import type { Redis } from 'ioredis';
import { delay } from '../lifecycle.ts';
import type { Lane } from '../protocol/lane.ts';
import { QUEUES_KEY, queueKey } from './keys.ts';
import { runScript, type ScriptArgument } from './scripts.ts';
import { isReplyLost, toStoreError } from './store-error.ts';

export interface NewTask {
  /** Whole message, as `encodeMessage` made it. */
  readonly message: Buffer;
  readonly lane: Lane;
  /** Milliseconds until it may run; 0 = at once. */
  readonly delayMs: number;
}

export interface Producer {
  /**
   * Accepts all tasks or none, in one call. A call that was not sent, or whose reply got lost, is repeated for a short
   * while: tasks that are there already are found by their ids.
   * @throws PopfleetError `redis-unavailable` or `redis-full`; with a lost reply the tasks may have been accepted
   */
  enqueue(queue: string, tasks: readonly NewTask[]): Promise<void>;
}

/** How long after the first fault it is repeated; the front door must answer within two seconds. */
const REPEAT_WITHIN_MS = 500;

/** @param client a connection of `openCommandConnection` */
export function createProducer(client: Redis): Producer {
  const registered = new Set<string>();
  // Each call that waits for the connection to come back listens for it.
  client.setMaxListeners(0);
  // Another Redis, or an emptied one, may stand behind the connection that comes back.
  client.on('close', () => registered.clear());

  async function send(queue: string, args: readonly ScriptArgument[]): Promise<void> {
    const calls: Promise<unknown>[] = [];
    if (!registered.has(queue)) calls.push(client.sadd(QUEUES_KEY, queue));
    calls.push(runScript(client, 'enqueue', queueKey(queue), args));
    await Promise.all(calls);
    registered.add(queue);
  }

  return {
    async enqueue(queue, tasks) {
      const args = tasks.flatMap((task) => [task.message, task.lane, task.delayMs]);
      for (let giveUpAt = Number.POSITIVE_INFINITY; ; ) {
        try {
          await send(queue, args);
          return;
        } catch (error) {
          giveUpAt = Math.min(giveUpAt, performance.now() + REPEAT_WITHIN_MS);
          const leftMs = giveUpAt - performance.now();
          const again = isReplyLost(error) && leftMs > 0 && (await ready(client, leftMs));
          if (!again) throw toStoreError(error);
        }
      }
    },
  };
}

/** Waits until the connection can take commands; false when it cannot within `ms`. */
async function ready(client: Redis, ms: number): Promise<boolean> {
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
