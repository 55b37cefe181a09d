// Operations of a scripted queue: opened and worked on by a test, which checks their numbers after each slice.

import type { Redis } from 'ioredis';
import { v7 } from 'uuid';
import { expect } from 'vitest';
import { encodeCbor } from '../../src/protocol/cbor.ts';
import { newTaskId } from '../../src/protocol/task-id.ts';
import { writeErrorGroup } from '../../src/store/error-groups.ts';
import { homeOf } from '../../src/store/keys.ts';
import {
  createOperations,
  operate,
  type OperationRecord,
  type Operations,
  type OperationRequest,
} from '../../src/store/operations.ts';
import { expectBalanced } from './moves.ts';
import { openScriptedQueue, QUEUE, type ScriptedQueue } from './scripted-queue.ts';

/** The server that works. */
export const ME = 'this server';
export const PLACE = homeOf(QUEUE);
const NO = { name: 'Error', message: 'no', fingerprint: '0123456789abcdef' };
export const ERROR = encodeCbor(NO);
const ERROR_GROUP = writeErrorGroup('add', NO);
/** Tasks that one call of a script takes. */
const A_CALL = 400;

/** What is asked for, without its queue. */
export type Asked = Omit<OperationRequest, 'filter'> & {
  readonly filter?: Omit<OperationRequest['filter'], 'queue'>;
};

export interface OperatedQueue extends ScriptedQueue {
  readonly operations: Operations;
  open(asked: Asked): Promise<string>;
  look(id: string): Promise<OperationRecord>;
  /** Slices until there is nothing to do now. */
  work(id: string, most?: number): Promise<OperationRecord>;
  run(asked: Asked, most?: number): Promise<OperationRecord>;
  /** Accepts so many tasks, and ends so many of those that wait as dead. @returns ids of the new ones */
  kill(count: number): Promise<string[]>;
}

const sum = (numbers: Readonly<Record<string, number>>): number =>
  Object.values(numbers).reduce((total, number) => total + number, 0);

/** @param client of `openStore` with `buildScriptsWithClock`; everything in its Redis is deleted */
export async function openOperatedQueue(client: Redis): Promise<OperatedQueue> {
  const queue = await openScriptedQueue(client);
  // Ids of a call are made together, and tell when a task was accepted.
  Object.assign(queue.clock, { newTaskId: () => v7({ msecs: queue.clock.now() }) });
  const operations = createOperations(client);

  async function open({ filter, ...asked }: Asked): Promise<string> {
    const id = newTaskId();
    const request = { ...asked, filter: { queue: QUEUE, ...filter } };
    expect(await operations.open(id, request, 'key-1')).toBe('opened');
    return id;
  }

  async function look(id: string): Promise<OperationRecord> {
    const found = await operations.find(id, ['other', QUEUE]);
    if (!found) throw new Error('there is no such operation');
    return found;
  }

  async function work(id: string, most = 7): Promise<OperationRecord> {
    for (;;) {
      const turn = await operate(client, PLACE, ME, most);
      const record = await look(id);
      expect(record.matched).toBe(record.done + sum(record.skipped) + sum(record.failed));
      await expectBalanced(client, QUEUE);
      if (turn.word !== 'worked' || turn.waitMs > 0) return record;
    }
  }

  return {
    ...queue,
    operations,
    open,
    look,
    work,
    run: async (asked, most) => work(await open(asked), most),
    async kill(count) {
      const ids = await queue.enqueue(count);
      for (let left = count; left > 0; left -= A_CALL) {
        await queue.finish(await queue.take(Math.min(left, A_CALL)), 'dead', {
          payload: ERROR,
          group: ERROR_GROUP,
        });
      }
      return ids;
    },
  };
}
