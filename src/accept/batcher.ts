// Gathers tasks that are sent one by one into few calls to Redis, which makes accepting fast.

import type { NewTask } from '../store/new-task.ts';
import type { Producer, Verdict } from '../store/producer.ts';

export interface Batcher {
  /**
   * Resolves once Redis has the task, or has found that its idempotency key is taken (`undefined`: simply accepted).
   * @throws PopfleetError of the producer, for all tasks of the call it was gathered into
   */
  send(queue: string, task: NewTask): Promise<Verdict | undefined>;
}

/** A call with this many tasks is sent before the end of the turn: Redis works on it while the next one fills. */
const SENT_AT = 32;

interface Batch {
  readonly tasks: NewTask[];
  /** The reply, shared by all callers of the batch. */
  readonly sent: Promise<ReadonlyMap<number, Verdict>>;
  readonly send: () => void;
}

export function createBatcher(producer: Producer): Batcher {
  const open = new Map<string, Batch>();

  function openBatch(queue: string): Batch {
    const tasks: NewTask[] = [];
    let send = (): void => undefined;
    const sent = new Promise<ReadonlyMap<number, Verdict>>((resolve) => {
      send = () => {
        if (open.get(queue)?.tasks !== tasks) return;
        open.delete(queue);
        resolve(producer.enqueue(queue, tasks));
      };
    });
    const batch = { tasks, sent, send };
    open.set(queue, batch);
    setImmediate(send);
    return batch;
  }

  return {
    async send(queue, task) {
      const batch = open.get(queue) ?? openBatch(queue);
      const position = batch.tasks.push(task) - 1;
      if (batch.tasks.length === SENT_AT) batch.send();
      return (await batch.sent).get(position);
    },
  };
}
