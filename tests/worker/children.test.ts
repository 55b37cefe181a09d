// Programs that a handler has started end with it when it is ended, and only then.

import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { descendantsOf } from '../../src/worker/runners/child-processes.ts';
import { type RunEnd, type Runner, StopSource } from '../../src/worker/runners/runner.ts';
import type { ThreadPool } from '../../src/worker/runners/thread-pool.ts';
import { eventually } from '../support/eventually.ts';
import { silentLog } from '../support/store.ts';
import { endOf, jobOf, startPool, startRunners } from '../support/thread-pool.ts';

const settings = {
  tasks: {
    taskModules: [fileURLToPath(new URL('../fixtures/children.mjs', import.meta.url))],
    baseDir: '/',
    taskDurationMs: 0,
  },
  resultLimitBytes: 100_000,
  threadMemoryMb: 64,
};

let pool: ThreadPool;
let isolated: Runner;
let folder: string;
let file: string;

beforeAll(async () => {
  ({ pool, isolated } = await startRunners(settings, () => undefined, silentLog));
});

afterAll(() => pool.stop());

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'popfleet-children-'));
  file = join(folder, 'pids');
});

afterEach(() => {
  for (const pid of pids()) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
  rmSync(folder, { recursive: true });
});

/** @param processes it is stopped when it has started so many; 0 = it ends by itself */
async function run(where: string, type: string, input: object, processes: number): Promise<RunEnd> {
  const stop = new StopSource();
  const ended = (where === 'thread' ? pool : isolated).run(jobOf(1, type, { file, ...input }), stop);
  if (processes > 0) {
    await eventually(() => pids().length === processes);
    stop.stop('cancelled');
  }
  return ended;
}

function pids(): number[] {
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean).map(Number) : [];
}

/** Whether a process runs; one that has ended and only waits for its parent to notice does not. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

const PLACES = ['thread', 'process'];

test.each<[string, string, string, number]>([
  ['thread', 'waits', 'spawn', 1],
  ['thread', 'waits', 'detached', 1],
  ['thread', 'waits', 'exec', 1],
  ['thread', 'waits', 'stubborn', 2],
  ['thread', 'hangs', 'spawn', 1],
  ['process', 'waits', 'stubborn', 2],
])(
  'case 45: in a %s, a handler that %s for what %s has started is ended: so is that',
  async (where, ending, what, processes) => {
    // A shell starts its command a moment later.
    const end = await run(where, 'starts', { ending, what }, processes);
    expect(end.kind).toBe('killed');
    await eventually(() => !pids().some(isAlive));
    expect(pids().flatMap(descendantsOf)).toEqual([]);
  },
);

test.each(PLACES)(
  'case 45: in a %s, one that waits in spawnSync is ended: so is the program',
  async (where) => {
    expect((await run(where, 'blocks', {}, 1)).kind).toBe('killed');
    await eventually(() => !pids().some(isAlive));
  },
);

test.each(PLACES)(
  'case 45: in a %s, one that gives up when it is asked to: its program ends',
  async (where) => {
    expect(await run(where, 'gives-up', {}, 1)).toMatchObject({
      kind: 'failed',
      stop: { reason: 'cancelled' },
    });
    await eventually(() => !pids().some(isAlive));
  },
);

test.each(PLACES)('case 45: a %s that is lost takes its programs along', async (where) => {
  const { kind } = await run(where, 'starts', { ending: 'exits', what: 'spawn' }, 0);
  expect(kind).toBe(where === 'thread' ? 'thread-lost' : 'process-lost');
  await eventually(() => !pids().some(isAlive));
});

test.each([
  ['thread', 'returns'],
  ['thread', 'throws'],
  ['process', 'returns'],
])(
  'case 45: in a %s, what a handler that %s has left behind stays, also when its thread is ended later',
  async (where, ending) => {
    expect((await run(where, 'starts', { ending, what: 'spawn' }, 0)).kind).toBe(
      ending === 'returns' ? 'succeeded' : 'failed',
    );
    const [left] = pids();
    rmSync(file);
    expect((await run(where, 'starts', { ending: 'waits', what: 'spawn' }, 1)).kind).toBe('killed');
    await eventually(() => !pids().some(isAlive));
    expect(left !== undefined && isAlive(left)).toBe(true);
    if (left !== undefined) process.kill(left, 'SIGKILL');
  },
);

test('case 45: one that gives up takes no program along of the next task of its thread', async () => {
  const bundles = await startPool({ module: settings.tasks.taskModules[0] ?? '', together: 2 });
  try {
    const sent = bundles.send({ type: 'gives-up', input: { file } }, { type: 'briefly', input: { file } });
    await eventually(() => pids().length === 1);
    sent[0]?.stop.stop('cancelled');
    // The worker comes to read the end of the first one when the program of the second one runs.
    for (const until = performance.now() + 10_000; pids().length < 2 && performance.now() < until; );
    // No signal has ended it.
    expect(await Promise.all(sent.map(endOf))).toEqual([expect.any(String), null]);
  } finally {
    await bundles.pool.stop();
  }
});

test('case 45: no zombies pile up in the worker', async () => {
  for (let time = 0; time < 3; time += 1) {
    rmSync(file, { force: true });
    expect((await run('thread', 'starts', { ending: 'waits', what: 'spawn' }, 1)).kind).toBe('killed');
    const [pid] = pids();
    await eventually(() => !existsSync(`/proc/${pid}`));
  }
});
