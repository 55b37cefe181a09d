// The packages of the benchmark, apart from those of the product, and the product's build.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { HERE, ROOT } from './processes.mjs';

/** Leaves alone what is up to date. */
export function prepare({ build }) {
  if (build) run('node', ['scripts/setup.mjs'], ROOT);
  if (hasPackages()) return;
  console.error('bench: installing packages (npm ci)');
  run(
    'npm',
    ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--min-release-age=0', '--loglevel=error'],
    HERE,
  );
}

/** The lock file also has optional peers of peers, without a mark: npm installs none of them. */
function hasPackages() {
  try {
    const wanted = packagesOf('package-lock.json');
    const installed = packagesOf('node_modules/.package-lock.json');
    return (
      Object.keys(wanted[''].dependencies).every((name) => installed[`node_modules/${name}`]) &&
      Object.entries(installed).every(([path, { version }]) => wanted[path]?.version === version)
    );
  } catch {
    return false;
  }
}

function packagesOf(file) {
  return readJson(join(HERE, file)).packages;
}

const readJson = (file) => JSON.parse(readFileSync(file, 'utf8'));

function run(program, args, cwd) {
  const { status, error } = spawnSync(program, args, { cwd, stdio: ['ignore', 'ignore', 'inherit'] });
  if (error) throw error;
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} failed`);
}

/** What was measured, by name. The ceilings must run on what the product runs on, or they are none. */
export function versions() {
  const product = readJson(join(ROOT, 'package-lock.json')).packages;
  const { dependencies } = readJson(join(HERE, 'package.json'));
  for (const [name, version] of Object.entries(dependencies)) {
    const own = product[`node_modules/${name}`]?.version;
    if (own !== undefined && own !== version) {
      console.error(`bench: ${name} is ${version} here and ${own} in the product: make them equal`);
    }
  }
  return { popfleet: readJson(join(ROOT, 'package.json')).version, ...dependencies };
}
