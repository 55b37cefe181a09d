// Imports a TypeScript module as it stands in its source, in the same way on every release of Node: types are taken out without being
// checked, and what only a compiler knows works too (enums, imports without an ending, paths of tsconfig.json).

import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** Whether a file is TypeScript, by its name. */
export function isTypeScript(path: string): boolean {
  return /\.[cm]?ts$/.test(path);
}

/**
 * @param path absolute
 * @returns what it exports by name; `export =` is its default, as of a CommonJS module
 * @throws whatever keeps the module from being loaded
 */
export async function importTypeScript(path: string): Promise<Readonly<Record<string, unknown>>> {
  const { createJiti } = await import('jiti');
  const jiti = createJiti(path, { fsCache: cacheFor(path), interopDefault: false });
  const exported: unknown = await jiti.import(path);
  const isNamespace = typeof exported === 'object' && exported !== null && '__esModule' in exported;
  return isNamespace ? exported : { default: exported };
}

/** Where the program keeps what its modules became, so that each thread does not translate them anew; false = nowhere. */
function cacheFor(path: string): string | false {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    const packages = join(folder, 'node_modules');
    if (existsSync(packages)) return join(packages, '.cache', 'popfleet');
    if (folder === resolve(folder, '..')) return false;
  }
}
