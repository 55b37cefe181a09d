// Packages of npm that bring a program which only some tests need: installed once, beside the project's own.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const CACHE = fileURLToPath(new URL('../node_modules/.cache/', import.meta.url));

/**
 * @param name of the package, and of its program
 * @param range of its versions
 * @returns path of the program
 * @throws Error when it cannot be installed
 */
export function programOf(name, range) {
  const folder = `${CACHE}${name}-${range}`;
  const program = `${folder}/node_modules/.bin/${name}`;
  if (existsSync(program)) return program;
  const options = ['--prefix', folder, '--no-audit', '--no-fund', '--loglevel=error'];
  const { status, error } = spawnSync('npm', ['install', ...options, `${name}@${range}`], {
    stdio: 'inherit',
  });
  if (error) throw error;
  if (status !== 0 || !existsSync(program)) throw new Error(`npm has brought no ${name}`);
  return program;
}
