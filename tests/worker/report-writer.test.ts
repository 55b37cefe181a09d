// Reports of handlers, gathered on its way to Redis, also when Redis does not take it.

import { ReplyError } from 'ioredis';
import { expect, test } from 'vitest';
import type { ClaimedTask, TaskReport } from '../../src/store/consumer.ts';
import { silentLog } from '../support/store.ts';
import { createReportWriter, type ReportWriter } from '../../src/worker/report-writer.ts';
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
function open(faults: Error[]): { writer: ReportWriter; calls: TaskReport[][] } {
  const slots = createSlots(() => 1);
  slots.hold(task);
  const calls: TaskReport[][] = [];
  const report = (reports: readonly TaskReport[]): Promise<void> => {
    calls.push([...reports]);
    const fault = faults.shift();
    return fault ? Promise.reject(fault) : Promise.resolve();
  };
  return { writer: createReportWriter({ queue: 'mail', report }, slots, silentLog), calls };
}

const reportOf = (percent: number, ...lines: string[]) => ({
  queue: 'mail',
  id: ID,
  claim: 3,
  progress: { percent, note: undefined },
  lines,
});
const linesOf = (call: readonly TaskReport[] | undefined): unknown => call?.map(({ lines }) => lines);

test('case 40: reports go in one call, in its order, with the latest progress', async () => {
  const { writer, calls } = open([]);
  writer.add(reportOf(1, 'a'));
  writer.add(reportOf(2, 'b', 'c'));
  writer.add({ ...reportOf(3, 'of another claim'), id: 'another task' });
  writer.flush();
  await eventually(() => calls.length > 0);
  expect(calls).toEqual([
    [
      expect.objectContaining({
        id: ID,
        token: 'a token',
        progress: reportOf(2).progress,
        lines: ['a', 'b', 'c'],
      }),
    ],
  ]);
});

test.each<[string, Error]>([
  ['Redis is away', new Error("Stream isn't writeable and enableOfflineQueue options is false")],
  ['Redis is full', new ReplyError('OOM command not allowed')],
])('case 40: %s: lines are written later, in front of those that were added since', async (_, fault) => {
  const { writer, calls } = open([fault]);
  writer.add(reportOf(1, 'before'));
  writer.flush();
  writer.add(reportOf(2, 'since'));
  await eventually(() => calls.length === 2);
  expect(calls.map(linesOf)).toEqual([[['before']], [['before', 'since']]]);
  expect(calls[1]?.[0]?.progress).toEqual(reportOf(2).progress);
});

test('case 40: a reply was lost: lines that may have been written are not written twice', async () => {
  const { writer, calls } = open([new Error('Connection is closed.')]);
  writer.add(reportOf(1, 'before'));
  writer.flush();
  writer.add(reportOf(2, 'since'));
  await eventually(() => calls.length === 2);
  expect(calls.map(linesOf)).toEqual([[['before']], [['since']]]);
});
