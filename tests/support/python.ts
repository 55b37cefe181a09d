// Python 3, for the client in examples/python.

import { execFile, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { BARE_ENV } from './bare-env.ts';

/** False where it is not installed: then its tests are skipped, and say so. */
export const hasPython = spawnSync('python3', ['--version']).status === 0;
export const NO_PYTHON = 'python3 is not installed (apt-get install python3)';

const CLIENT = fileURLToPath(new URL('../../examples/python', import.meta.url));

/** Runs a program that may import the client. @param env what it finds in its environment @returns what it wrote */
export async function python(program: string, env: Readonly<Record<string, string>> = {}): Promise<string> {
  const variables = { ...BARE_ENV, PYTHONPATH: CLIENT, PYTHONDONTWRITEBYTECODE: '1', ...env };
  const { stdout } = await promisify(execFile)('python3', ['-c', program], {
    env: variables,
    timeout: 60_000,
  });
  return stdout;
}
