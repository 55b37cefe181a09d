// The benchmark still runs: every scenario that needs nothing but npm and Redis, small, in fresh processes.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const RUN = fileURLToPath(new URL('../../scripts/bench/run.mjs', import.meta.url));

test('the smoke version of every scenario ends well, and tells what it has measured', {
  timeout: 300_000,
}, async () => {
  const dir = mkdtempSync(join(tmpdir(), 'popfleet-bench-'));
  const file = join(dir, 'smoke.json');
  const child = spawn(process.execPath, [RUN, '--smoke', '--no-build', '--json', file], {
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
    'bytes',
  ])
    expect(measured).toContain(scenario);
  rmSync(dir, { recursive: true, force: true });
});
