// Runs the tests of what differs between releases of Node (threads, modules, streams, signals) on the Node that the
// image ships. Arguments are test files or folders; without any, the parts below.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { programOf } from './cached-package.mjs';

/** As in Containerfile. */
const MAJOR = 24;
const PARTS = [
  ...[
    'children',
    'handler-env',
    'inline-output',
    'last-words',
    'left-behind',
    'lost-threads',
    'output',
    'process',
    'thread-memory',
    'thread-messages',
    'thread-pool',
  ].map((name) => `tests/worker/${name}.test.ts`),
  'tests/tasks/module-forms.test.ts',
  'tests/tasks/registry.test.ts',
  'tests/tasks/user-module.test.ts',
  'tests/log.test.ts',
  'tests/e2e/inline.test.ts',
  'tests/e2e/lost-threads.test.ts',
  'tests/e2e/dev.test.ts',
  'tests/e2e/shutdown.test.ts',
  'tests/server/events.test.ts',
  'tests/e2e/lost-readers.test.ts',
];

const root = fileURLToPath(new URL('..', import.meta.url));
const node = programOf('node', MAJOR);

function run(file, args) {
  const { status, error } = spawnSync(file, args, { cwd: root, stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

run(node, ['--version']);
const parts = process.argv.length > 2 ? process.argv.slice(2) : PARTS;
run(node, ['node_modules/vitest/vitest.mjs', 'run', '--config', 'tests/vitest.config.ts', ...parts]);
