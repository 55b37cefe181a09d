// What a person or an API caller does to tasks and queues that exist.

import type { Redis } from 'ioredis';
import type { TaskState } from '../protocol/task-state.ts';
import { queueKey } from './keys.ts';
import { runScript } from './scripts.ts';

/** `requested`: it runs and its worker was asked to stop it; `unknown`: there is no such task. */
export type CancelAnswer = 'cancelled' | 'requested' | 'unknown' | Extract<TaskState, 'succeeded' | 'dead'>;

export interface Operator {
  cancel(queue: string, id: string): Promise<CancelAnswer>;
  pause(queue: string): Promise<void>;
  resume(queue: string): Promise<void>;
}

/** @param client a connection of `openCommandConnection` */
export function createOperator(client: Redis): Operator {
  return {
    async cancel(queue, id) {
      return String(await runScript(client, 'cancel', queueKey(queue), [id])) as CancelAnswer;
    },
    async pause(queue) {
      await runScript(client, 'pause', queueKey(queue), ['paused']);
    },
    async resume(queue) {
      await runScript(client, 'pause', queueKey(queue), ['open']);
    },
  };
}
