// A task in a process of its own: what it does to its process, or leaves behind there, is its own matter.

import { fileURLToPath } from 'node:url';
import { decode } from 'cbor-x';
import { expect, test } from 'vitest';
import { encodeContent } from '../../src/protocol/message.ts';
import { createProcessRunner } from '../../src/worker/runners/process.ts';
import { type Report, type RunEnd, StopSource } from '../../src/worker/runners/runner.ts';
import { silentLog } from '../support/store.ts';
import { noLink } from '../support/thread-pool.ts';

const MODULES = ['left-behind', 'life'].map((name) =>
  fileURLToPath(new URL(`../fixtures/${name}.mjs`, import.meta.url)),
);

async function run(
  type: string,
  input: unknown = {},
  { stop = new StopSource(), reports = [] as Report[] } = {},
): Promise<RunEnd> {
  const settings = {
    tasks: { taskModules: MODULES, baseDir: '/', taskDurationMs: 0 },
    resultLimitBytes: 1_000_000,
    threadMemoryMb: 64,
  };
  const job = {
    queue: 'default',
    id: '01890000-0000-7000-8000-000000000001',
    type,
    claim: 1,
    content: encodeContent(type, input, {}),
    attempt: 1,
    timeoutMs: undefined,
  };
  const link = { ...noLink, report: (one: Report) => void reports.push(one) };
  return createProcessRunner(settings, link, silentLog).run(job, stop);
}

function resultOf(end: RunEnd): unknown {
  if (end.kind !== 'succeeded') throw new Error(JSON.stringify(end));
  return end.result.length === 0 ? undefined : decode(end.result);
}

test('case 50: it finds no channel to its worker', async () => {
  expect(resultOf(await run('reaches', 'sends-to-process'))).toBe('undefinedundefined');
  expect(resultOf(await run('reaches', 'listens-to-process'))).toBeUndefined();
});

test('case 50: one that writes into our pipe is ended without a deadline', async () => {
  expect(await run('reaches', 'writes-into-pipe')).toMatchObject({ kind: 'process-lost' });
});

test.each(['timer', 'rejection', 'socket'])(
  'case 14: an error of its own that nothing catches (%s) fails the task, and takes no process for lost',
  async (how) => {
    expect(await run('fails-beside', how)).toMatchObject({
      kind: 'failed',
      permanent: false,
      error: { message: expect.stringContaining('late') as string },
    });
  },
);

test('case 35: its memory is limited as that of a thread', async () => {
  const end = await run('hog');
  expect(end).toMatchObject({ kind: 'process-lost' });
  expect(String(end.kind === 'process-lost' && end.error.message)).toContain('heap');
});

test('what it has reported before it exits is kept, however long it is', async () => {
  const reports: Report[] = [];
  const end = await run('tells-and-exits', { lines: 500 }, { reports });
  expect(end).toMatchObject({ kind: 'process-lost', error: { message: 'its process exited with code 5' } });
  expect(reports.flatMap(({ lines }) => lines).at(0)).toMatch(/^line 1 x+$/);
});

test.each([
  ['is not there any more', '/nowhere/node'],
  ['has a name that no program has', 'node\0'],
])(
  'a process that cannot be started is a fault of the worker, not of the task: Node %s',
  async (_how, path) => {
    const { execPath } = process;
    process.execPath = path;
    try {
      await expect(run('add', { one: 1, two: 2 })).rejects.toThrow('a process for a task cannot be started');
    } finally {
      process.execPath = execPath;
    }
  },
);
