// The release before this one, built from its commit in a folder of its own.

import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const REPO = fileURLToPath(new URL('../..', import.meta.url));

/** A tag once there is one. The last commit that wrote protocol 1, which had no number. */
const RELEASE_BEFORE = 'c50da73';

/** Why it cannot be built here; `undefined`: it can. */
export function whyNoReleaseBefore(): string | undefined {
  try {
    execFileSync('git', ['cat-file', '-e', `${RELEASE_BEFORE}^{commit}`], { cwd: REPO, stdio: 'ignore' });
    return undefined;
  } catch {
    return `no git here, or a clone without the commit ${RELEASE_BEFORE}`;
  }
}

export interface ReleaseBefore {
  /** File of its command. */
  readonly cli: string;
  remove(): void;
}

export async function buildReleaseBefore(): Promise<ReleaseBefore> {
  const folder = mkdtempSync(join(tmpdir(), 'popfleet-before-'));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    const archive = join(folder, 'release.tar');
    const parts = ['src', 'scripts', 'tsconfig.json', 'package.json'];
    await run('git', ['archive', '--output', archive, RELEASE_BEFORE, ...parts], { cwd: REPO });
    await run('tar', ['-xf', archive], { cwd: folder });
    writeUncheckedConfig(join(folder, 'tsconfig.json'));
    symlinkSync(join(REPO, 'node_modules'), join(folder, 'node_modules'));
    await run(process.execPath, [join('scripts', 'build.mjs')], { cwd: folder });
    return { cli: join(folder, 'dist', 'cli.js'), remove };
  } catch (error) {
    remove();
    throw error;
  }
}

/** Its types were checked when it was released: the compiler only takes them out. */
function writeUncheckedConfig(file: string): void {
  const config = JSON.parse(readFileSync(file, 'utf8')) as { readonly compilerOptions: object };
  const unchecked = { noCheck: true, declaration: false, sourceMap: false };
  writeFileSync(
    file,
    JSON.stringify({ ...config, compilerOptions: { ...config.compilerOptions, ...unchecked } }),
  );
}
