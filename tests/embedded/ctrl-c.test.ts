// Ctrl-C at a terminal reaches every process of the group at once, the embedded Redis included.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { BARE_ENV } from '../support/bare-env.ts';
import { eventually } from '../support/eventually.ts';
import { post } from '../support/http.ts';

const CLI = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));

test('Redis stays until the running tasks are recorded', async () => {
  const cwd = mkdtempSync(join(tmpdir(), 'popfleet-int-'));
  const child = spawn(process.execPath, [CLI, 'all', '--port', '0', '--concurrency', '1'], {
    cwd,
    detached: true, // a process group of its own, as a shell makes one
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...BARE_ENV, TASK_DURATION_MS: '600', HEARTBEAT_MS: '300', LEASE_MS: '1500' },
  });
  const exited = once(child, 'exit');
  try {
    let out = '';
    child.stdout.on('data', (text: Buffer) => (out += text.toString()));
    const url = await eventually(() => /"url":"([^"]+)"/.exec(out)?.[1], 60_000);
    expect((await post(`${url}/add`, { one: 1, two: 2 })).status).toBe(202);
    await eventually(async () => {
      const { counts } = (await (await fetch(`${url}/v1/queues/default`)).json()) as {
        counts: Record<string, number>;
      };
      return counts['running'] === 1;
    });
    process.kill(-(child.pid ?? 0), 'SIGINT');
    expect(await exited).toEqual([0, null]);
    const worse = out.split('\n').filter((line) => /"level":[456]0/.test(line));
    expect(worse).toEqual([]);
    expect(out).toContain('"msg":"worker stopped"');
  } finally {
    child.kill('SIGKILL');
    rmSync(cwd, { recursive: true, force: true });
  }
});
