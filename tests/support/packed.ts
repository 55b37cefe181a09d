// The package as npm would publish it, and as a user has it.

import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { BARE_ENV } from './bare-env.ts';

const REPO = fileURLToPath(new URL('../..', import.meta.url));

/** For npm and npx, and all that they start: they run on the Node of the tests, and have the settings and the cache of who runs them. */
export const NPM_ENV: Readonly<Record<string, string>> = {
  ...BARE_ENV,
  PATH: `${dirname(process.execPath)}${delimiter}${BARE_ENV['PATH'] ?? ''}`,
  HOME: homedir(),
  npm_config_update_notifier: 'false',
  // npm would keep one in the temporary folder, on Node 22 and later.
  NODE_DISABLE_COMPILE_CACHE: '1',
};

async function npm(cwd: string, ...args: readonly string[]): Promise<void> {
  await promisify(execFile)('npm', args, { cwd, env: NPM_ENV });
}

/**
 * Packs this package, and installs it in an empty folder with `npm install`. The versions of what it stands on are those of this checkout, so
 * that npm finds them in its cache.
 */
export async function installPacked(folder: string): Promise<void> {
  const tarballs = await mkdtemp(`${folder}-tarball-`);
  await npm(REPO, 'pack', '--silent', '--ignore-scripts', '--pack-destination', tarballs);
  const { version } = JSON.parse(await readFile(join(REPO, 'package.json'), 'utf8')) as { version: string };
  await writeFile(join(folder, 'package-lock.json'), await lockOfPackages());
  const quietly = ['--ignore-scripts', '--no-audit', '--no-fund', '--min-release-age=0', '--prefer-offline'];
  await npm(folder, 'install', ...quietly, join(tarballs, `popfleet-${version}.tgz`));
  await rm(tarballs, { recursive: true });
}

/** The lock file of this checkout without what only its development needs. */
async function lockOfPackages(): Promise<string> {
  const lock = JSON.parse(await readFile(join(REPO, 'package-lock.json'), 'utf8')) as Lock;
  const needed = Object.entries(lock.packages).filter(
    ([path, { dev, devOptional, link }]) => path.startsWith('node_modules/') && !dev && !devOptional && !link,
  );
  return JSON.stringify({
    lockfileVersion: 3,
    requires: true,
    packages: { '': {}, ...Object.fromEntries(needed) },
  });
}

interface Lock {
  readonly packages: Readonly<
    Record<string, { readonly dev?: boolean; readonly devOptional?: boolean; readonly link?: boolean }>
  >;
}
