// What a handler has said before it was ended, wherever it runs: log lines, progress, and what it wrote to its streams.

import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createLog } from '../../src/log.ts';
import { type Report, type RunEnd, type Runner, StopSource } from '../../src/worker/runners/runner.ts';
import type { ThreadPool } from '../../src/worker/runners/thread-pool.ts';
import { eventually } from '../support/eventually.ts';
import { jobOf, startRunners } from '../support/thread-pool.ts';

const settings = {
  tasks: {
    taskModules: [fileURLToPath(new URL('../fixtures/last-words.mjs', import.meta.url))],
    baseDir: '/',
    taskDurationMs: 0,
  },
  resultLimitBytes: 100_000,
  threadMemoryMb: 32,
};

let reports: Report[];
let entries: Record<string, unknown>[];
let latest = 0;
let pool: ThreadPool;
let isolated: Runner;

beforeAll(async () => {
  const onReport = (one: Report): void => void reports.push(one);
  const write = (line: string): void => void entries.push(JSON.parse(line) as Record<string, unknown>);
  const log = createLog('info', {}, { write });
  reports = [];
  entries = [];
  ({ pool, isolated } = await startRunners(settings, onReport, log));
});

afterAll(() => pool.stop());

beforeEach(() => {
  reports = [];
  entries = [];
});

interface Run {
  readonly id: string;
  readonly end: RunEnd;
}

/** Runs one task. One that hangs is stopped once it has said what it had to say. */
async function run(runner: Runner, type: string, input: object, stopWhen?: () => boolean): Promise<Run> {
  latest += 1;
  const job = { ...jobOf(latest, type, input), queue: 'mail' };
  const stop = new StopSource();
  const ended = runner.run(job, stop);
  if (stopWhen) {
    await eventually(stopWhen);
    stop.stop('timed-out');
  }
  return { id: job.id, end: await ended };
}

const linesOf = (): string[] => reports.flatMap(({ lines }) => lines);
const lastProgress = (): unknown => reports.findLast(({ progress }) => progress)?.progress;
const printed = (): string[] =>
  entries.filter(({ stream }) => stream === 'stdout').map(({ msg }) => String(msg));

const STEPS = Array.from({ length: 20 }, (_, at) => `step ${at + 1}`);
const PRINTED = [...Array.from({ length: 20 }, (_, at) => `printed ${at + 1}`), 'half a line'];

test.each<[string, 'thread' | 'process', string]>([
  ['returns', 'thread', 'succeeded'],
  ['throws', 'thread', 'failed'],
  ['hangs', 'thread', 'killed'],
  ['exits', 'thread', 'thread-lost'],
  ['hogs', 'thread', 'thread-lost'],
  ['fails late', 'thread', 'failed'],
  ['throws', 'process', 'failed'],
  ['hangs', 'process', 'killed'],
  ['exits', 'process', 'process-lost'],
  ['hogs', 'process', 'process-lost'],
  ['fails late', 'process', 'failed'],
  ['aborts', 'process', 'process-lost'],
])(
  'case 40: a handler that %s in its %s: all that it said is there before its end',
  async (ending, where, kind) => {
    const runner = where === 'thread' ? pool : isolated;
    const hangs = ending === 'hangs' ? () => linesOf().includes('step 20') : undefined;
    const { id, end } = await run(runner, 'speaks', { ending }, hangs);
    if ('report' in end && end.report) reports.push(end.report);

    expect(end.kind).toBe(kind);
    expect(linesOf()).toEqual(STEPS);
    expect(lastProgress()).toEqual({ percent: 20, note: 'at 20' });
    // Case 18: so is what it wrote to its streams, each line with the task that it belongs to.
    expect(printed()).toEqual(PRINTED);
    const warning = entries.find(({ msg }) => msg === 'a warning');
    expect(warning).toMatchObject({ level: 40, stream: 'stderr', task: id, queue: 'mail', type: 'speaks' });
    const mine = entries.filter(({ stream, task }) => stream === 'stdout' && task === id);
    expect(mine).toHaveLength(PRINTED.length);
  },
);

test.each(['thread', 'process'])(
  'case 18: a flood in a %s hurts nobody, and its last lines are there when it is ended',
  async (where) => {
    const runner = where === 'thread' ? pool : isolated;
    const lines = 200_000;
    const { end } = await run(runner, 'floods', { lines, ending: 'exits' });

    expect(end.kind).toBe(where === 'thread' ? 'thread-lost' : 'process-lost');
    expect(printed().slice(-5)).toEqual([4, 3, 2, 1, 0].map((before) => `line ${lines - before}`));
    expect(printed().length).toBeLessThan(lines / 2);
  },
);

test('case 18: late output names the task that has left it, also while another one runs', async () => {
  const { id } = await run(pool, 'echoes', { ms: 50 });
  const other = await run(pool, 'waits', { ms: 500 });
  await eventually(() => printed().includes('an echo'));
  expect(entries.find(({ msg }) => msg === 'an echo')).toMatchObject({
    task: id,
    type: 'echoes',
    late: true,
  });
  const waited = entries.find(({ msg }) => msg === 'waited');
  expect(waited).toMatchObject({ task: other.id, type: 'waits' });
  expect(waited).not.toHaveProperty('late');
});
