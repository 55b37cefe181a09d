import { availableParallelism, loadavg } from 'node:os';
import { configDefaults, defineConfig } from 'vitest/config';

/** They change what all code of a process shares (its variables, its exit), or need it as Node has made it. */
const ALONE = [
  'tests/load/command.test.ts',
  'tests/protocol/task-error.test.ts',
  'tests/scripts/nothing-left.test.ts',
  'tests/worker/handler-env.test.ts',
];

const root = new URL('..', import.meta.url).pathname;
const each = { root, testTimeout: 120_000, hookTimeout: 120_000, teardownTimeout: 10_000 };

// Most files wait for timers and processes of their own: where nothing else runs, one more than there are cores (of which a small machine
// has two) takes what the others leave; on a busy machine that would starve them all.
const isBusy = (loadavg()[0] ?? 0) >= availableParallelism();

export default defineConfig({
  test: {
    root,
    globalSetup: ['tests/support/nothing-left.ts'],
    maxWorkers: isBusy ? 2 : 3,
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
