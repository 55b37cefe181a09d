// The measurement of an operation still runs, with a few tasks.

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const SCRIPT = fileURLToPath(new URL('../../scripts/bench/operation.mjs', import.meta.url));

test('tasks are picked up before and while an operation deletes others, whose numbers add up', {
  timeout: 120_000,
}, async () => {
  const args = [SCRIPT, '--dead', '3000', '--before', '20'];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  expect(stdout).toMatch(/pick-up before: p50 [\d.]+ ms, p99 [\d.]+ ms of 20\n/);
  expect(stdout).toMatch(/pick-up during: p50 [\d.]+ ms, p99 [\d.]+ ms of [1-9]/);
  expect(stdout).toContain('matched 3000, done 3000');
});
