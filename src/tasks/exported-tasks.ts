// Finds the task definitions among the exports of a module, in every form in which modules are written or compiled.

import { PopfleetError } from '../protocol/errors.ts';
import { isTaskDefinition, type TaskDefinition } from './define.ts';

/**
 * Most levels that are searched: `default` of the module, `default` of a compiled CommonJS module in it, an object, an array.
 */
const DEEPEST = 4;
/** A larger exported object is data, and is not searched. */
const MOST_ENTRIES = 10_000;

/**
 * Named exports and the default count, also inside exported arrays and plain objects (`export * as`, `module.exports`). An
 * object that is found in two ways is one task: Node shows what a CommonJS module exports under its names, in `default`,
 * and since Node 23 in `module.exports` as well.
 * @param exported the namespace that `import()` gives
 * @param module its name, for the messages
 * @throws PopfleetError `bad-definition` when the default export is no task, or the module exports none
 */
export function exportedTasks(
  exported: Readonly<Record<string, unknown>>,
  module: string,
): readonly TaskDefinition[] {
  const tasks = new Set<TaskDefinition>();
  const seen = new Set<unknown>();
  const forgotten: string[] = [];

  /** @param isDefault whether it is of the default export, where an object that only looks like a task is an error */
  function visit(value: unknown, path: string, isDefault: boolean, depth: number): void {
    if (typeof value !== 'object' || value === null || seen.has(value)) return;
    seen.add(value);
    if (isTaskDefinition(value)) tasks.add(value);
    else if (Array.isArray(value)) visitItems(value, path, isDefault, depth);
    else if (looksLikeTask(value)) {
      if (isDefault) throw notDefined(path, module);
      forgotten.push(path);
    } else if (depth < DEEPEST && isPlain(value)) visitMembers(value, path, isDefault, depth);
  }

  function visitItems(items: readonly unknown[], path: string, isDefault: boolean, depth: number): void {
    if (depth >= DEEPEST || items.length > MOST_ENTRIES) return;
    for (const [index, item] of items.entries()) {
      const at = `${path}[${index}]`;
      if (isDefault && !isTaskDefinition(item) && !Array.isArray(item)) throw notDefined(at, module);
      visit(item, at, isDefault, depth + 1);
    }
  }

  function visitMembers(value: object, path: string, isDefault: boolean, depth: number): void {
    for (const [name, member] of members(value)) {
      // `exports.default` of a module that was compiled to CommonJS is the default export of its source.
      const isSame = isDefault && name === 'default' && '__esModule' in value;
      visit(member, `${path}.${name}`, isSame, depth + 1);
    }
  }

  for (const [name, value] of Object.entries(exported)) visit(value, name, name === 'default', 1);
  if (tasks.size > 0) return [...tasks];
  const hint =
    forgotten.length > 0
      ? ` (${forgotten.slice(0, 5).join(', ')} looks like a task, but was not made by defineTask())`
      : '';
  throw new PopfleetError(
    'bad-definition',
    `${module} exports no task: export what defineTask() returns${hint}`,
  );
}

/** Getters are read only where compilers put them, on the exports of a module: others may have side effects. */
function members(value: object): readonly (readonly [string, unknown])[] {
  if ('__esModule' in value) return Object.entries(value);
  const all = Object.entries(Object.getOwnPropertyDescriptors(value));
  if (all.length > MOST_ENTRIES) return [];
  return all.map(([name, descriptor]) => [name, descriptor.value as unknown] as const);
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

function looksLikeTask(value: object): boolean {
  return (
    'type' in value && typeof value.type === 'string' && 'run' in value && typeof value.run === 'function'
  );
}

function notDefined(path: string, module: string): PopfleetError {
  const what = path === 'default' ? 'the default export' : path;
  return new PopfleetError('bad-definition', `${what} of ${module} was not made by defineTask()`);
}
