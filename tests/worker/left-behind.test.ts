// What a task leaves behind in its thread, and what it does to its thread: nobody else feels it.

import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { endOf, startPool, type TestPool } from '../support/thread-pool.ts';

const MODULE = fileURLToPath(new URL('../fixtures/left-behind.mjs', import.meta.url));
const ALONE = fileURLToPath(new URL('../fixtures/fails-alone.mjs', import.meta.url));
const LEFT_BEHIND = 'a task has left code behind that failed later: its thread is replaced';

/** How a task ends that goes back and loses nothing: it had begun, or it had not. */
const BACK = ['displaced', 'not-begun'];

let threads: TestPool;

beforeAll(async () => {
  threads = await startPool({ module: MODULE });
});

beforeEach(() => {
  threads.log.length = 0;
});

afterAll(() => threads.pool.stop());

describe('case 14: an error that a task has left behind', () => {
  test.each([
    'timer',
    'interval',
    'immediate',
    'tick',
    'rejection',
    'rejected-with-text',
    'callback',
    'stream',
    'socket',
  ])('%s: the task that runs by then loses nothing, the log names the one that left it', async (how) => {
    const [leaving, innocent] = threads.send(
      { type: 'leaves', input: how },
      { type: 'waits', input: 60_000 },
    );
    const threadId = leaving && (await endOf(leaving));
    expect(threadId).toBeTypeOf('number');
    expect(BACK).toContain(innocent && (await endOf(innocent)));
    expect(threads.log).toMatchObject([
      {
        msg: LEFT_BEHIND,
        type: 'leaves',
        task: leaving?.id,
        err: { message: expect.stringContaining('late') as string },
      },
    ]);
    // It runs again at once, in a thread that was there already.
    expect(await threads.run('waits', 0)).not.toBe(threadId);
  });

  test('while nothing runs: the next task runs in another thread', async () => {
    const threadId = await threads.run('leaves', 'timer');
    await eventually(() => threads.log.length > 0);
    expect(await threads.run('waits', 0)).not.toBe(threadId);
    expect(threads.log).toMatchObject([{ msg: LEFT_BEHIND, type: 'leaves' }]);
  });

  test('of one of several that a thread got at once: those that have not begun go back', async () => {
    const bundles = await startPool({ module: MODULE, together: 8 });
    try {
      const ends = await Promise.all(
        bundles
          .send(
            { type: 'leaves', input: 'timer' },
            { type: 'waits', input: 60_000 },
            { type: 'waits', input: 0 },
          )
          .map(endOf),
      );
      expect(ends).toEqual([expect.any(Number), 'displaced', 'not-begun']);
    } finally {
      await bundles.pool.stop();
    }
  });

  test.each(['timer', 'rejection', 'rejected-with-text', 'stream'])(
    '%s of the task that runs itself: it fails with that error, and the place comes back',
    async (how) => {
      expect(await threads.run('fails-beside', how)).toContain('late');
      expect(await threads.run('waits', 0)).toBeTypeOf('number');
      expect(threads.log).toEqual([]);
    },
  );
});

test('a module that fails by itself in each thread: threads start ever more slowly', async () => {
  const alone = await startPool({ module: ALONE });
  try {
    const delays = (): number[] =>
      alone.log.flatMap(({ retryInMs }) => (retryInMs === undefined ? [] : [Number(retryInMs)]));
    await eventually(() => delays().length >= 5);
    // Two threads, each of which fails 20 ms after it has loaded: with 100 ms at first, and half of each at random.
    expect(delays()[4]).toBeGreaterThan(100);
    expect(alone.log).toContainEqual(expect.objectContaining({ reason: 'nobody listens' }));
  } finally {
    await alone.pool.stop();
  }
});

describe('case 50: a handler', () => {
  test.each(['posts', 'floods', 'listens', 'unlistens', 'closes', 'forges-by-force'])(
    '%s: it has its result, and so has the next one',
    async (how) => {
      expect(await threads.run('reaches', how)).toBeUndefined();
      expect(await threads.run('waits', 0)).toBeTypeOf('number');
      expect(threads.log).toEqual([]);
    },
  );

  test('finds no port of ours in the data of its thread', async () => {
    expect(await threads.run('reaches', 'looks-into-data')).toEqual(['settings']);
  });

  test('that closes the port of ours all the same is noticed without a deadline, and its place comes back', async () => {
    expect(await threads.run('reaches', 'closes-by-force')).toBe('thread-lost');
    expect(await threads.run('waits', 0)).toBeTypeOf('number');
  });

  test('that has taken away what hears of its errors: it is lost, and the next task begins in another thread', async () => {
    // Whether the end of the thread is known before its port is closed differs from time to time.
    for (let time = 0; time < 10; time += 1) {
      const sent = threads.send({ type: 'fails-unheard' }, { type: 'waits', input: 0 });
      expect(await Promise.all(sent.map(endOf))).toEqual(['thread-lost', expect.any(Number)]);
    }
  });

  test('that has left an endless loop behind: the task that gets its thread goes back, and the thread is replaced', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'popfleet-loop-'));
    try {
      const file = join(folder, 'loops');
      await threads.run('leaves-loop', { file });
      await eventually(() => existsSync(file));
      expect(await threads.run('waits', 0)).toBe('not-begun');
    } finally {
      rmSync(folder, { recursive: true });
    }
    expect(threads.log).toMatchObject([{ msg: expect.stringContaining('does not begin') as string }]);
    expect(await threads.run('waits', 0)).toBeTypeOf('number');
  });
});
