// Tasks that come on and on, while a test kills what holds them.

import { onTestFinished } from 'vitest';
import { delay } from '../../src/lifecycle.ts';
import { post } from './http.ts';

export interface Load {
  /** Ids of those that were accepted, by queue. */
  readonly accepted: ReadonlyMap<string, readonly string[]>;
  /** Those of them that replicas have, as their answers say. */
  readonly copied: ReadonlySet<string>;
  /** Milliseconds of the longest request. */
  slowestMs(): number;
  stop(): Promise<void>;
}

/** Between two tasks of a sender: the machine has others to serve. */
const PAUSE_MS = 20;

/**
 * Sends journal tasks to all queues, one after the other, until it is stopped; each second one asks for replicas.
 * @param fileOf where the tasks of a queue write
 */
export function sendUnderLoad(
  serverUrl: string,
  queues: readonly string[],
  fileOf: (queue: string) => string,
): Load {
  const copied = new Set<string>();
  const accepted = new Map<string, string[]>(queues.map((queue) => [queue, []]));
  let isOver = false;
  let slowestMs = 0;
  async function send(queue: string): Promise<void> {
    const task = { type: 'journal', queue, input: { file: fileOf(queue), ms: 1 } };
    for (let sent = 0; !isOver; sent += 1) {
      const asked = sent % 2 === 0 ? task : { ...task, durability: 'replicas' };
      const begunAt = performance.now();
      const { status, body } = await post(`${serverUrl}/v1/tasks`, asked).catch(() => ({
        status: 0,
        body: {} as Record<string, unknown>,
      }));
      slowestMs = Math.max(slowestMs, performance.now() - begunAt);
      if (status === 202) accepted.get(queue)?.push(String(body['id']));
      if (status === 202 && body['durability'] === 'replicas') copied.add(String(body['id']));
      await delay(PAUSE_MS);
    }
  }
  const sending = Promise.all(queues.map(send));
  const stop = async (): Promise<void> => {
    isOver = true;
    await sending;
  };
  onTestFinished(stop);
  return { accepted, copied, slowestMs: () => slowestMs, stop };
}
