// The benchmark still runs: every scenario that needs nothing but npm and Redis, small, in fresh processes. `npm run test:bench`
// (POPFLEET_BENCH_PEERS=1) runs the peers of popfleet too, which no change of popfleet breaks.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { hasBrowser } from '../support/browser.ts';

const RUN = fileURLToPath(new URL('../../scripts/bench/run.mjs', import.meta.url));
const OURS = ['--variant', 'popfleet,popfleet-threads'];
const VARIANTS = process.env['POPFLEET_BENCH_PEERS'] === '1' ? [] : OURS;
const DASHBOARD = fileURLToPath(new URL('../../scripts/bench/dashboard.mjs', import.meta.url));
const OPERATION = fileURLToPath(new URL('../../scripts/bench/operation.mjs', import.meta.url));

test('the smoke version of every scenario ends well, and tells what it has measured', {
  timeout: 300_000,
}, async () => {
  const dir = mkdtempSync(join(tmpdir(), 'popfleet-bench-'));
  const file = join(dir, 'smoke.json');
  try {
    const child = spawn(process.execPath, [RUN, '--smoke', '--no-build', ...VARIANTS, '--json', file], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let out = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (text: Buffer) => (out += text.toString()));
    const [code] = (await once(child, 'exit')) as [number | null];
    expect(code, out.slice(-4_000)).toBe(0);
    const measured = JSON.stringify(JSON.parse(readFileSync(file, 'utf8')));
    for (const scenario of [
      'enqueue-single',
      'enqueue-bulk',
      'process-inline',
      'process-threads',
      'pick-up',
      'open-loop',
      'punctuality',
      'http-batch',
      'worker-memory',
      'bytes',
    ])
      expect(measured).toContain(scenario);
    // The packages are there now, and are not installed again.
    const { stderr } = await promisify(execFile)(process.execPath, [RUN, '--no-build', '--from', file]);
    expect(stderr).toBe('');
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

// In this file, as the next one, because the test before may install the packages that all measurements import.
test('tasks are picked up before and while an operation deletes others, whose numbers add up', async () => {
  const args = [OPERATION, '--dead', '3000', '--before', '20'];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  expect(stdout).toMatch(/pick-up before: p50 [\d.]+ ms, p99 [\d.]+ ms of 20\n/);
  expect(stdout).toMatch(/pick-up during: p50 [\d.]+ ms, p99 [\d.]+ ms of [1-9]/);
  expect(stdout).toContain('matched 3000, done 3000');
});

test.skipIf(!hasBrowser)('one page and several dashboards are measured', async () => {
  const short = [
    '--minutes',
    '0',
    '--rate',
    '100',
    '--rounds',
    '1',
    '--slice-seconds',
    '0.5',
    '--dashboards',
    '3',
  ];
  const args = [DASHBOARD, ...short];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  expect(stdout).toMatch(
    /one page .*: [\d.]+ MB of heap .*, [\d.]+ % of a core .*, [\d.]+ requests a second\n/,
  );
  expect(stdout).toMatch(/\b3 dashboards: [1-9]\d* tasks a second, without [1-9]\d*: -?[\d.]+ % less/);
});
