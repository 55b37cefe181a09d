// What handlers tell, gathered on its way to Redis, also when Redis does not take it.

import { ReplyError } from 'ioredis';
import { expect, test } from 'vitest';
import type { ClaimedTask, TaskReport } from '../../src/store/consumer.ts';
import { silentLog } from '../support/store.ts';
import { createReports, type Reports } from '../../src/worker/reports.ts';
import { createSlots } from '../../src/worker/slots.ts';
import { eventually } from '../support/eventually.ts';

const ID = '01890000-0000-7000-8000-000000000000';
const task: ClaimedTask = {
  queue: 'mail',
  id: ID,
  claim: 3,
  token: 'a token',
  failures: 0,
  crashes: 0,
  content: Buffer.alloc(0),
};

/** @param faults what the first calls fail with */
function open(faults: Error[]): { reports: Reports; calls: TaskReport[][] } {
  const slots = createSlots(() => 1);
  slots.hold(task);
  const calls: TaskReport[][] = [];
  const report = (reports: readonly TaskReport[]): Promise<void> => {
    calls.push([...reports]);
    const fault = faults.shift();
    return fault ? Promise.reject(fault) : Promise.resolve();
  };
  return { reports: createReports({ queue: 'mail', report }, slots, silentLog), calls };
}

const told = (percent: number, ...lines: string[]) => ({
  queue: 'mail',
  id: ID,
  claim: 3,
  progress: { percent, note: undefined },
  lines,
});
const linesOf = (call: readonly TaskReport[] | undefined): unknown => call?.map(({ lines }) => lines);

test('case 40: what is told goes in one call, in its order, with the latest progress', async () => {
  const { reports, calls } = open([]);
  reports.tell(told(1, 'a'));
  reports.tell(told(2, 'b', 'c'));
  reports.tell({ ...told(3, 'of another claim'), id: 'another task' });
  reports.passOn();
  await eventually(() => calls.length > 0);
  expect(calls).toEqual([
    [
      expect.objectContaining({
        id: ID,
        token: 'a token',
        progress: told(2).progress,
        lines: ['a', 'b', 'c'],
      }),
    ],
  ]);
});

test.each<[string, Error]>([
  ['Redis is away', new Error("Stream isn't writeable and enableOfflineQueue options is false")],
  ['Redis is full', new ReplyError('OOM command not allowed')],
])('case 40: %s: lines are written later, in front of those that were told since', async (_, fault) => {
  const { reports, calls } = open([fault]);
  reports.tell(told(1, 'before'));
  reports.passOn();
  reports.tell(told(2, 'since'));
  await eventually(() => calls.length === 2);
  expect(calls.map(linesOf)).toEqual([[['before']], [['before', 'since']]]);
  expect(calls[1]?.[0]?.progress).toEqual(told(2).progress);
});

test('case 40: a reply was lost: lines that may have been written are not written twice', async () => {
  const { reports, calls } = open([new Error('Connection is closed.')]);
  reports.tell(told(1, 'before'));
  reports.passOn();
  reports.tell(told(2, 'since'));
  await eventually(() => calls.length === 2);
  expect(calls.map(linesOf)).toEqual([[['before']], [['since']]]);
});
