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

let copy: string;

beforeAll(() => {
  copy = mkdtempSync(join(tmpdir(), 'popfleet-copy-'));
  for (const name of ['package.json', 'package-lock.json', 'tsconfig.json', 'scripts', 'src']) {
    cpSync(join(ROOT, name), join(copy, name), {
      recursive: true,
      filter: (path) => !path.includes('node_modules'),
    });
  }
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
});

afterAll(() => {
  rmSync(copy, { recursive: true, force: true });
});

interface Run {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function node(args: readonly string[], env: Record<string, string> = {}, cwd = copy): Run {
  return spawnSync(process.execPath, args, {
    cwd,
    encoding: 'utf8',
    env: { ...BARE_ENV, ...env },
  });
}

const setup = (env?: Record<string, string>, cwd?: string): Run => node(['scripts/setup.mjs'], env, cwd);
const QUIET: Run = { status: 0, stdout: '', stderr: '' };

test('it builds what is not built, once', () => {
  expect(setup()).toMatchObject({ status: 0, stdout: 'setup: building\n', stderr: '' });
  const { version } = JSON.parse(readFileSync(join(copy, 'package.json'), 'utf8')) as { version: string };
  expect(node(['dist/cli.js', '--version']).stdout.trim()).toBe(version);
  expect(setup()).toMatchObject(QUIET);
});

test('what npm starts, installs and exports is there after the build', () => {
  const manifest = JSON.parse(readFileSync(join(copy, 'package.json'), 'utf8')) as {
    bin: Record<string, string>;
    scripts: Record<string, string>;
    exports: Record<string, { types: string; default: string }>;
  };
  const command = join(copy, manifest.bin['popfleet'] ?? '');
  expect(readFileSync(command, 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
  accessSync(command, constants.X_OK);
  expect(manifest.scripts['start']).toMatch(/\bnode dist\/cli\.js$/);
  expect(manifest.bin['popfleet']).toBe('dist/cli.js');
  for (const file of Object.values(manifest.exports['.'] ?? {})) {
    expect(existsSync(join(copy, file)), file).toBe(true);
  }
});

/** A checkout whose sources are two lines: what is built again shows the same, and the compiler has little to read. */
function copyWithFewSources(): string {
  const small = mkdtempSync(join(tmpdir(), 'popfleet-copy-'));
  for (const name of ['package.json', 'package-lock.json', 'tsconfig.json', 'scripts'])
    cpSync(join(copy, name), join(small, name), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(small, 'node_modules'));
  for (const folder of ['docs', 'ui']) mkdirSync(join(small, 'src', folder), { recursive: true });
  cpSync(join(ROOT, 'src', 'ui', 'tsconfig.json'), join(small, 'src', 'ui', 'tsconfig.json'));
  const sources = { 'index.ts': 'first', 'cli.ts': 'command', 'ui/main.ts': 'page', 'docs/page.js': 'docs' };
  for (const [name, what] of Object.entries(sources))
    writeFileSync(join(small, 'src', name), `export const ${what} = 0;\n`);
  return small;
}

test('a changed source is built again; one that cannot be compiled leaves the last build as it was', () => {
  const small = copyWithFewSources();
  try {
    const source = join(small, 'src', 'index.ts');
    expect(setup({}, small)).toMatchObject({ status: 0, stdout: 'setup: building\n' });
    appendFileSync(source, 'export const added: number = 1;\n');
    expect(setup({}, small)).toMatchObject({ status: 0, stdout: 'setup: building\n' });
    const built = readFileSync(join(small, 'dist', 'index.js'), 'utf8');
    expect(built).toContain('added = 1');

    const right = readFileSync(source);
    appendFileSync(source, "export const wrong: number = 'text';\n");
    const broken = setup({}, small);
    expect(broken.status).toBe(1);
    expect(broken.stderr).toMatch(/^setup: src\/index\.ts\(\d+,\d+\): error TS2322/);
    expect(readFileSync(join(small, 'dist', 'index.js'), 'utf8')).toBe(built);
    // The last build is that of these sources again.
    writeFileSync(source, right);
    expect(setup({}, small)).toMatchObject(QUIET);
  } finally {
    rmSync(small, { recursive: true, force: true });
  }
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
