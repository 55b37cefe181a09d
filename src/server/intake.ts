// Gathers the tasks of one turn of the event loop into one call a queue. This is what makes accepting fast.

import type { NewTask, Producer, Verdict } from '../store/producer.ts';

export interface Intake {
  /**
   * Resolves once Redis has the task, or has found that its idempotency key is taken (`undefined`: simply accepted).
   * @throws PopfleetError of the producer, for the whole batch
   */
  accept(queue: string, task: NewTask): Promise<Verdict | undefined>;
}

/** A call stays well below what one script may take without others noticing. */
const LARGEST_BATCH = 500;

interface Batch {
  readonly tasks: NewTask[];
  /** Shared by all callers of the batch. */
  readonly sent: Promise<ReadonlyMap<number, Verdict>>;
}

export function createIntake(producer: Producer): Intake {
  const open = new Map<string, Batch>();

  function openBatch(queue: string): Batch {
    const tasks: NewTask[] = [];
    const sent = new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
      if (open.get(queue)?.tasks === tasks) open.delete(queue);
      return producer.enqueue(queue, tasks);
    });
    const batch = { tasks, sent };
    open.set(queue, batch);
    return batch;
  }

  return {
    async accept(queue, task) {
      const current = open.get(queue);
      const batch = current && current.tasks.length < LARGEST_BATCH ? current : openBatch(queue);
      const position = batch.tasks.push(task) - 1;
      return (await batch.sent).get(position);
    },
  };
}
