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

// Two files at a time: most of them wait for timers and processes of their own, and two cores are what a small machine has.
export default defineConfig({
  test: {
    root,
    globalSetup: ['tests/support/nothing-left.ts'],
    maxWorkers: 2,
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
