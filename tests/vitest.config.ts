import { defineConfig } from 'vitest/config';

// Two files at a time: most of them wait for timers and processes of their own, and two cores are what a small machine has.
export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    include: ['tests/**/*.test.ts'],
    globalSetup: ['tests/support/nothing-left.ts'],
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    teardownTimeout: 10_000,
  },
});
