// The set-up that npm runs before `start` and `test`, in a copy of the checkout.

import { spawnSync } from 'node:child_process';
import {
  accessSync,
  appendFileSync,
  constants,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BARE_ENV } from '../support/bare-env.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** What prints one line stands for the program: what is built again shows the same, and the compiler has little to read. */
const SOURCES = {
  'index.ts': 'export const first = 0;',
  'cli.ts': "console.log('of this build');",
  'ui/main.ts': 'export const page = 0;',
  'docs/page.js': 'export const docs = 0;',
};

let copy: string;

beforeAll(() => {
  copy = mkdtempSync(join(tmpdir(), 'popfleet-copy-'));
  for (const name of [
    'package.json',
    'package-lock.json',
    'tsconfig.json',
    'scripts',
    'src/ui/tsconfig.json',
  ]) {
    cpSync(join(ROOT, name), join(copy, name), {
      recursive: true,
      filter: (path) => !path.includes('node_modules'),
    });
  }
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  mkdirSync(join(copy, 'src', 'docs'));
  for (const [name, text] of Object.entries(SOURCES)) writeFileSync(join(copy, 'src', name), `${text}\n`);
});

afterAll(() => {
  rmSync(copy, { recursive: true, force: true });
});

interface Run {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function node(args: readonly string[], env: Record<string, string> = {}): Run {
  return spawnSync(process.execPath, args, {
    cwd: copy,
    encoding: 'utf8',
    env: { ...BARE_ENV, ...env },
  });
}

const setup = (env?: Record<string, string>): Run => node(['scripts/setup.mjs'], env);
const QUIET: Run = { status: 0, stdout: '', stderr: '' };

test('it builds what is not built, once', () => {
  expect(setup()).toMatchObject({ status: 0, stdout: 'setup: building\n', stderr: '' });
  expect(node(['dist/cli.js'])).toMatchObject({ stdout: 'of this build\n' });
  expect(setup()).toMatchObject(QUIET);
});

test('what npm starts, installs and exports is there after the build of this checkout', async () => {
  const { isBuilt } = (await import(join(ROOT, 'scripts', 'build.mjs'))) as { isBuilt(): boolean };
  expect(isBuilt(), 'npm run build').toBe(true);
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    version: string;
    bin: Record<string, string>;
    scripts: Record<string, string>;
    exports: Record<string, { types: string; default: string }>;
  };
  const command = join(ROOT, manifest.bin['popfleet'] ?? '');
  expect(readFileSync(command, 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
  accessSync(command, constants.X_OK);
  expect(node([command, '--version']).stdout.trim()).toBe(manifest.version);
  expect(manifest.scripts['start']).toMatch(/\bnode dist\/cli\.js$/);
  expect(manifest.bin['popfleet']).toBe('dist/cli.js');
  for (const file of Object.values(manifest.exports['.'] ?? {})) {
    expect(existsSync(join(ROOT, file)), file).toBe(true);
  }
});

test('a changed source is built again; one that cannot be compiled leaves the last build as it was', () => {
  const source = join(copy, 'src', 'index.ts');
  appendFileSync(source, 'export const added: number = 1;\n');
  expect(setup()).toMatchObject({ status: 0, stdout: 'setup: building\n' });
  const built = readFileSync(join(copy, 'dist', 'index.js'), 'utf8');
  expect(built).toContain('added = 1');

  const right = readFileSync(source);
  appendFileSync(source, "export const wrong: number = 'text';\n");
  const broken = setup();
  expect(broken.status).toBe(1);
  expect(broken.stderr).toMatch(/^setup: src\/index\.ts\(\d+,\d+\): error TS2322/);
  expect(readFileSync(join(copy, 'dist', 'index.js'), 'utf8')).toBe(built);
  // The last build is that of these sources again.
  writeFileSync(source, right);
  expect(setup()).toMatchObject(QUIET);
});

test('without Redis and without a package manager it says in one sentence what to install', () => {
  const bin = join(copy, 'bin');
  mkdirSync(bin, { recursive: true });
  const missing = setup({ PATH: bin });
  expect(missing.status).toBe(1);
  expect(missing.stderr).toMatch(/^setup: no Redis server found.*redis-server.*valkey-server on PATH\.\n$/);

  // Where REDIS_URL names one, `npm start` needs none; either program will do.
  expect(
    setup({ PATH: bin, npm_lifecycle_event: 'prestart', REDIS_URL: 'redis://example.org' }),
  ).toMatchObject(QUIET);
  expect(setup({ PATH: bin, REDIS_URL: 'redis://example.org' }).status).toBe(1);
  writeFileSync(join(bin, 'valkey-server'), '#!/bin/sh\n', { mode: 0o755 });
  expect(setup({ PATH: bin })).toMatchObject(QUIET);
});
