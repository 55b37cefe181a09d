import { cpus } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import { configDefaults, defineConfig } from 'vitest/config';
import { LongFirst } from './support/long-first.ts';

/** They change what all code of a process shares (its variables, its exit), or need it as Node has made it. */
const ALONE = [
  'tests/load/command.test.ts',
  'tests/protocol/task-error.test.ts',
  'tests/scripts/nothing-left.test.ts',
  'tests/scripts/redis-server.test.ts',
  'tests/topologies/cluster.test.ts',
  'tests/topologies/sentinel.test.ts',
  'tests/worker/handler-env.test.ts',
  'tests/worker/traced-runner.test.ts',
];

const root = new URL('..', import.meta.url).pathname;
const each = {
  root,
  expect: { poll: { timeout: 90_000 } },
  testTimeout: 180_000,
  hookTimeout: 120_000,
  teardownTimeout: 10_000,
};

/** How much of the processors is idle, 0 to 1, over half a second. */
async function idleShare(): Promise<number> {
  const idleMs = (): number => cpus().reduce((sum, { times }) => sum + times.idle, 0);
  const before = idleMs();
  const began = performance.now();
  await setTimeout(500);
  return (idleMs() - before) / (performance.now() - began) / cpus().length;
}

// Most files wait for timers and processes of their own: where nothing else runs, two more than there are cores (of which a small machine
// has two) take what the others leave; on a busy machine that would starve them all.
const isBusy = (await idleShare()) < 0.5;

export default defineConfig({
  test: {
    root,
    // The second one leaves its folder in that of the first one, and is the first to end.
    globalSetup: ['tests/support/nothing-left.ts', 'tests/support/redis-server.ts'],
    maxWorkers: isBusy ? 2 : 4,
    sequence: { sequencer: LongFirst },
    projects: [
      {
        test: {
          ...each,
          name: 'together',
          // A process runs many files and loads what they share once: importing a module does nothing.
          isolate: false,
          include: ['tests/**/*.test.ts'],
          exclude: [...configDefaults.exclude, ...ALONE],
        },
      },
      { test: { ...each, name: 'alone', include: ALONE } },
    ],
  },
});
