// All task types a process knows: the built-in ones and those of the modules named at start.

import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { PopfleetError } from '../protocol/errors.ts';
import { createAdd } from './add.ts';
import { isTaskDefinition, type TaskDefinition } from './define.ts';
import { createMultiply } from './multiply.ts';
import { createSubtract } from './subtract.ts';

export type Registry = ReadonlyMap<string, TaskDefinition>;

export interface TaskSettings {
  /** How long the built-in tasks block their thread. */
  readonly taskDurationMs: number;
  /** Modules whose exports are task definitions: paths relative to `baseDir`, or absolute. */
  readonly taskModules: readonly string[];
  readonly baseDir: string;
}

/**
 * Builds the registry; server, worker and every thread do it from the same settings.
 * @throws PopfleetError `bad-definition` that names the module and says what is wrong with it
 */
export async function loadRegistry({
  taskDurationMs,
  taskModules,
  baseDir,
}: TaskSettings): Promise<Registry> {
  const found: Found[] = [createAdd, createSubtract, createMultiply].map((create) => ({
    definition: create(taskDurationMs),
    source: 'popfleet itself',
  }));
  for (const module of taskModules) {
    const definitions = await importDefinitions(module, baseDir);
    found.push(...definitions.map((definition) => ({ definition, source: module })));
  }
  return toRegistry(found);
}

interface Found {
  readonly definition: TaskDefinition;
  /** Where it was found, for a person. */
  readonly source: string;
}

/** @throws PopfleetError `bad-definition` when two definitions have one type */
export function toRegistry(found: readonly Found[]): Registry {
  const registry = new Map<string, TaskDefinition>();
  const sources = new Map<string, string>();
  for (const { definition, source } of found) {
    const earlier = sources.get(definition.type);
    if (earlier !== undefined) {
      throw new PopfleetError(
        'bad-definition',
        `task type "${definition.type}" is defined twice: in ${earlier} and in ${source}`,
      );
    }
    registry.set(definition.type, definition);
    sources.set(definition.type, source);
  }
  return registry;
}

/** Every export that is a definition counts, also inside an exported array; anything else there is a mistake. */
async function importDefinitions(module: string, baseDir: string): Promise<readonly TaskDefinition[]> {
  const exported = await importModule(module, baseDir);
  const values = Object.entries(exported).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map((one: unknown) => ({ name, one })),
  );
  const definitions = values.filter(({ name, one }) => name === 'default' || isTaskDefinition(one));
  if (definitions.length === 0) {
    throw new PopfleetError('bad-definition', `${module} exports no task: export what defineTask() returns`);
  }
  return definitions.map(({ one }) => {
    if (isTaskDefinition(one)) return one;
    throw new PopfleetError('bad-definition', `the default export of ${module} was not made by defineTask()`);
  });
}

async function importModule(module: string, baseDir: string): Promise<Record<string, unknown>> {
  try {
    return (await import(pathToFileURL(resolve(baseDir, module)).href)) as Record<string, unknown>;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new PopfleetError('bad-definition', `cannot load the task module ${module}: ${reason}`, {
      cause: error,
    });
  }
}
