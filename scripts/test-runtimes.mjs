// Runs the tests of popfleet/client in Deno and Bun, the runtimes beside Node and browsers that it is made for.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { programOf } from './cached-package.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const runtimes = [
  [programOf('deno', 2), 'run', '--allow-net', '--allow-read'],
  [programOf('bun', 1), 'run'],
];
for (const [program] of runtimes) spawnSync(program, ['--version'], { stdio: 'inherit' });
const words = [
  'node_modules/vitest/vitest.mjs',
  'run',
  '--config',
  'tests/vitest.config.ts',
  'tests/client/runtimes',
];
const env = { ...process.env, POPFLEET_RUNTIMES: JSON.stringify(runtimes) };
process.exit(spawnSync(process.execPath, words, { cwd: root, env, stdio: 'inherit' }).status ?? 1);
