// The package as it is published, in a project where it can import nothing but what it declares, as pnpm installs it.

import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startRole } from '../support/fleet.ts';
import { post } from '../support/http.ts';

const REPO = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);
/** npm and TypeScript would leave a cache in the temporary folder, on Node 22 and later. */
const env = { ...process.env, NODE_DISABLE_COMPILE_CACHE: '1' };

let folder: string;
let installed: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'popfleet-pack-'));
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', folder], { cwd: REPO, env });
  const [packed] = JSON.parse(stdout) as [{ readonly filename: string }];
  // Beside the package stand links to what it declares; the project has a link to the package alone.
  const store = join(folder, 'node_modules', '.pnpm', 'popfleet', 'node_modules');
  installed = join(store, 'popfleet');
  mkdirSync(installed, { recursive: true });
  await run('tar', ['-xzf', join(folder, packed.filename), '--strip-components=1', '-C', installed]);
  const { dependencies } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as {
    readonly dependencies: Readonly<Record<string, string>>;
  };
  for (const name of Object.keys(dependencies)) {
    mkdirSync(dirname(join(store, name)), { recursive: true });
    symlinkSync(join(REPO, 'node_modules', name), join(store, name));
  }
  symlinkSync(installed, join(folder, 'node_modules', 'popfleet'));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

it('case 32: tasks need no other package than popfleet, as ES module and as CommonJS', async () => {
  writeFileSync(
    join(folder, 'esm.mjs'),
    `import { defineTask, v } from 'popfleet';
export const shout = defineTask({ type: 'shout', input: v.string(), run: (text) => text.toUpperCase() });`,
  );
  writeFileSync(
    join(folder, 'commonjs.js'),
    `const { defineTask, v } = require('popfleet');
exports.whisper = defineTask({ type: 'whisper', input: v.string(), run: (text) => text.toLowerCase() });`,
  );
  const cli = join(installed, 'dist', 'cli.js');
  const role = await startRole('all', {}, folder, ['--tasks', './esm.mjs,./commonjs.js'], cli);
  try {
    for (const [type, result] of [
      ['shout', 'ADA'],
      ['whisper', 'ada'],
    ] as const) {
      const { body } = await post(`${role.url()}/${type}?wait=20`, 'Ada');
      expect(body).toMatchObject({ state: 'succeeded', result });
    }
    const page = await fetch(`${role.url()}/docs/swagger-ui-bundle.js`);
    expect(page.status).toBe(200);
    await page.body?.cancel();
  } finally {
    role.signal('SIGTERM');
    await role.exited;
  }
});

it('the SDK that `popfleet mcp` needs is named, with how to install it', async () => {
  const failed = run(process.execPath, [join(installed, 'dist', 'cli.js'), 'mcp'], { cwd: folder });
  await expect(failed).rejects.toMatchObject({
    code: 2,
    stderr: expect.stringContaining('npm install @modelcontextprotocol/server@2'),
  });
});

it('case 32: what is not installed is named, with the file that wants it', async () => {
  writeFileSync(join(folder, 'other.mjs'), `import * as v from 'valibot';\nexport default v;`);
  const cli = join(installed, 'dist', 'cli.js');
  const failed = run(process.execPath, [cli, 'all', '--tasks', './other.mjs'], { cwd: folder });
  await expect(failed).rejects.toMatchObject({
    code: 78,
    stderr: expect.stringMatching(/: Cannot find package 'valibot' imported from \S*other\.mjs\n$/),
  });
});
