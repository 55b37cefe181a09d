// What every run of the tests ends with: a look at what the tests have left behind.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { begin } from '../support/nothing-left.ts';
import { eventually } from '../support/eventually.ts';
import { runningProcesses } from '../support/processes.ts';

const WITHIN_MS = 500;
const NAMES = ['TMPDIR', 'POPFLEET_TEST_RUN'];

beforeEach(() => {
  for (const name of NAMES) vi.stubEnv(name, process.env[name]);
});
afterEach(() => vi.unstubAllEnvs());

const isRunning = (one: number): boolean => runningProcesses().some(({ pid }) => pid === one);

/** Starts a process whose parent ends at once. @returns its number */
function orphan(env: NodeJS.ProcessEnv): number {
  const script = 'sleep 600 >/dev/null 2>&1 & echo $!';
  return Number(spawnSync('/bin/sh', ['-c', script], { env, encoding: 'utf8' }).stdout);
}

it('case 38: a run that leaves nothing behind ends well, and its temporary folder goes', async () => {
  const end = begin(WITHIN_MS);
  const folder = tmpdir();
  expect(existsSync(folder)).toBe(true);
  await end();
  expect(existsSync(folder)).toBe(false);
});

it.runIf(process.platform === 'linux')(
  'case 38: a process of a test that runs on fails the run, and is ended',
  async () => {
    const end = begin(WITHIN_MS);
    const left = orphan(process.env);
    await expect(end()).rejects.toThrow(`process ${left}: sleep 600`);
    await eventually(() => !isRunning(left));
  },
);

it.runIf(process.platform === 'linux')(
  'case 38: a process of another run beside it does not matter',
  async () => {
    const end = begin(WITHIN_MS);
    const other = orphan({ ...process.env, POPFLEET_TEST_RUN: 'another' });
    await end();
    expect(isRunning(other)).toBe(true);
    process.kill(other, 'SIGKILL');
  },
);

it('case 38: a temporary folder that stays fails the run, and is removed', async () => {
  const end = begin(WITHIN_MS);
  const folder = tmpdir();
  mkdirSync(join(folder, 'forgotten'));
  await expect(end()).rejects.toThrow('in the temporary folder: forgotten');
  expect(existsSync(folder)).toBe(false);
});
