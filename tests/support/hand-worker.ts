// A worker whose every step a test takes by hand, over the real store.

import { homeOf } from '../../src/store/keys.ts';
import type { Redis } from 'ioredis';
import { encodeCbor } from '../../src/protocol/cbor.ts';
import { openCommandConnection } from '../../src/store/connection.ts';
import { fingerprintOf } from '../../src/protocol/fingerprint.ts';
import { typeOfContent } from '../../src/protocol/message.ts';
import type { TaskError } from '../../src/protocol/task-error.ts';
import { writeErrorGroup } from '../../src/store/error-groups.ts';
import { type Consumer, createConsumer, type OutcomeWord } from '../../src/store/consumer.ts';
import { silent } from './server.ts';

export interface HandWorker {
  /** Claims the next task of a queue; answers its id. */
  take(queue?: string): Promise<string>;
  /** Tells how far a task is that it took. */
  report(id: string, percent: number, note?: string): Promise<void>;
  /** Has a task that it took make a token. */
  token(id: string, name: string): Promise<string>;
  /** Ends a task it took; `dead` with an error. @param hasHistory as in `Outcome` */
  end(id: string, word: OutcomeWord, payload?: unknown, hasHistory?: boolean): Promise<void>;
  /** Claims the next tasks of a queue, at most some hundreds, and ends them as dead of this error. */
  fail(queue: string, count: number, error: TaskError): Promise<void>;
  close(): void;
}

export function createHandWorker(redisUrl: string): HandWorker {
  const command: Redis = openCommandConnection(silent(redisUrl), 'hand', { socketTimeoutMs: 5_000 });
  const ready = new Promise<void>((resolve) => command.once('ready', () => resolve()));
  const taken = new Map<string, { consumer: Consumer; token: string; content: Buffer }>();
  return {
    async take(queue = 'default') {
      await ready;
      const consumer = createConsumer(command, homeOf(queue), 'hand-worker', 60_000);
      const [task] = (await consumer.claim([], 1)).tasks;
      if (!task) throw new Error('there is nothing to take');
      taken.set(task.id, { consumer, token: task.token, content: task.content });
      return task.id;
    },
    async report(id, percent, note) {
      const one = taken.get(id);
      if (!one) throw new Error('this task was not taken');
      await one.consumer.report([{ id, token: one.token, progress: { percent, note }, lines: [] }]);
    },
    async token(id, name) {
      const one = taken.get(id);
      if (!one) throw new Error('this task was not taken');
      await one.consumer.source({ id, token: one.token }, `.${name}`, '-');
      return `${id}.${name}`;
    },
    async end(id, word, payload, hasHistory) {
      const one = taken.get(id);
      if (!one) throw new Error('this task was not taken');
      const bytes = payload === undefined ? Buffer.alloc(0) : encodeCbor(payload);
      const { consumer, token, content } = one;
      const group = word === 'dead' ? groupOf(content, payload as TaskError) : undefined;
      const outcome = {
        id,
        token,
        contentBytes: content.length,
        word,
        payload: bytes,
        delayMs: 0,
        group,
        hasHistory,
      };
      const { stale } = await consumer.finish([outcome], 0);
      if (stale.length > 0) throw new Error('the outcome was stale');
    },
    async fail(queue, count, error) {
      await ready;
      const consumer = createConsumer(command, homeOf(queue), 'hand-worker', 60_000);
      const { tasks } = await consumer.claim([], count);
      if (tasks.length !== count) throw new Error(`there are ${tasks.length} to take, not ${count}`);
      const outcomes = tasks.map(({ id, token, content }) => ({
        id,
        token,
        contentBytes: content.length,
        word: 'dead' as const,
        payload: encodeCbor(error),
        delayMs: 0,
        group: groupOf(content, error),
      }));
      const { stale } = await consumer.finish(outcomes, 0);
      if (stale.length > 0) throw new Error('an outcome was stale');
    },
    close: () => command.disconnect(),
  };
}

/** As a worker names it. */
function groupOf(content: Buffer, error: TaskError): string {
  const type = typeOfContent(content) ?? '';
  return writeErrorGroup(type, { ...error, fingerprint: fingerprintOf(type, error) }, '2.4.0');
}
