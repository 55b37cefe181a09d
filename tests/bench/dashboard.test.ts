// The measurement of the dashboard still runs, small, and tells what it has measured.

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { hasBrowser } from '../support/browser.ts';

const DASHBOARD = fileURLToPath(new URL('../../scripts/bench/dashboard.mjs', import.meta.url));

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
