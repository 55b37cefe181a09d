// REDIS_SERVER names the Redis that tests and benchmarks start.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import setup from '../support/redis-server.ts';

const BENCH = fileURLToPath(new URL('../../scripts/bench/redis.mjs', import.meta.url));
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'popfleet-other-'));
  writeFileSync(join(folder, 'other-server'), '#!/bin/sh\necho other\n', { mode: 0o700 });
  vi.stubEnv('PATH', process.env['PATH']);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

test('what starts a redis-server starts that one, until the run is over', () => {
  vi.stubEnv('REDIS_SERVER', join(folder, 'other-server'));
  const before = process.env['PATH'];
  const end = setup();
  const [first = ''] = (process.env['PATH'] ?? '').split(':');
  expect(spawnSync('redis-server', { encoding: 'utf8' }).stdout).toBe('other\n');
  end();
  expect(existsSync(first)).toBe(false);

  process.env['PATH'] = before;
  const script = `import { REDIS_SERVER } from '${BENCH}'; console.log(REDIS_SERVER);`;
  const bench = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  expect(bench.stdout).toBe(`${join(folder, 'other-server')}\n`);
});

test('one that is not there stops the run', () => {
  vi.stubEnv('REDIS_SERVER', join(folder, 'nothing'));
  expect(() => setup()).toThrow(`REDIS_SERVER: no program can be started at ${join(folder, 'nothing')}`);
});
