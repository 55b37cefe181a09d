// `popfleet init`: a first task module, and a package script that runs it.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { PopfleetError } from '../protocol/errors.ts';

const MODULE = 'tasks.ts';
const TASKS = `import { defineTask, v } from 'popfleet';

/** A task: its type, what it takes, and what is done with that. */
export const hello = defineTask({
  type: 'hello',
  input: v.object({ name: v.string() }),
  async run({ name }, { log, progress }) {
    log(\`greeting \${name}\`);
    progress(100);
    return \`Hello \${name}!\`;
  },
});
`;
const DEV = 'popfleet dev';
/** @param made what was made @param steps commands that come before the request */
const next = (made: string, steps: readonly string[]): string => `Made ${made}. Next:

${steps.map((step) => `  ${step}\n`).join('')}  curl 'http://127.0.0.1:3000/v1/tasks?wait=10' -H 'content-type: application/json' -d '{"type":"hello","input":{"name":"you"}}'

A change of ${MODULE} is loaded while it runs.
`;

/**
 * Writes the files; one that is there is changed by what is missing, or not at all.
 * @param folder where the package is, or shall be
 * @returns what to say
 * @throws PopfleetError `bad-config` when there is a task module already, or `package.json` cannot be read
 */
export function init(folder: string): string {
  const module = join(folder, MODULE);
  if (existsSync(module)) {
    throw new PopfleetError('bad-config', `there is a ${MODULE} here already: popfleet dev runs it`);
  }
  const path = join(folder, 'package.json');
  const before: Package = readPackage(path) ?? { name: nameOf(folder), private: true, type: 'module' };
  writeFileSync(module, TASKS);
  const known = { ...before.dependencies, ...before.devDependencies };
  const install = Object.hasOwn(known, 'popfleet') ? [] : ['npm install popfleet'];
  // The script of a web application stays what it is.
  if (before.scripts?.['dev'] !== undefined) return next(MODULE, [...install, `npx ${DEV}`]);
  writeFileSync(
    path,
    `${JSON.stringify({ ...before, scripts: { dev: DEV, ...before.scripts } }, null, 2)}\n`,
  );
  return next(`${MODULE}, and the script "dev" in package.json`, [...install, 'npm run dev']);
}

interface Package {
  readonly [member: string]: unknown;
  readonly scripts?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

function readPackage(path: string): Package | undefined {
  if (!existsSync(path)) return undefined;
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Package;
  } catch (error) {
    throw new PopfleetError('bad-config', `package.json cannot be read: ${String(error)}`);
  }
}

/** A name that npm takes. */
function nameOf(folder: string): string {
  return (
    basename(folder)
      .toLowerCase()
      .replaceAll(/[^a-z0-9-]/g, '-') || 'tasks'
  );
}
