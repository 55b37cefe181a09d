// The task types of a process: the built-in ones and those of the modules named at start.

import { PopfleetError } from '../protocol/errors.ts';
import { DEFAULT_QUEUE } from '../protocol/names.ts';
import { WEBHOOK_TYPE } from '../protocol/webhook.ts';
import { createAdd } from './add.ts';
import type { TaskDefinition } from './define.ts';
import { exportedTasks } from './exported-tasks.ts';
import { importModule } from './import-module.ts';
import { createMultiply } from './multiply.ts';
import { createSubtract } from './subtract.ts';

export type Registry = ReadonlyMap<string, TaskDefinition>;

export interface TaskSettings {
  /** How long the built-in tasks block their thread, in milliseconds. */
  readonly taskDurationMs: number;
  /** Modules whose exports are task definitions: paths relative to `baseDir`, or absolute. */
  readonly taskModules: readonly string[];
  readonly baseDir: string;
}

/**
 * Builds the registry; server, worker and every thread build it from the same settings.
 * @throws PopfleetError `bad-definition` that names the module and its fault
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
    const definitions = exportedTasks(await importModule(module, baseDir), module);
    found.push(...definitions.map((definition) => ({ definition, source: module })));
  }
  return toRegistry(found);
}

/** The queues to which the tasks of a registry go when their callers name none: a worker serves them unless it has `QUEUES`. */
export function queuesOf(registry: Registry): readonly string[] {
  const named = [...registry.values()].map(({ defaults }) => defaults?.queue ?? DEFAULT_QUEUE);
  return [...new Set([DEFAULT_QUEUE, ...named])];
}

interface Found {
  readonly definition: TaskDefinition;
  /** Where it was found, for messages. */
  readonly source: string;
}

/**
 * The same definition may come twice: a module may export it under a name and as default, or another module pass it on.
 * @throws PopfleetError `bad-definition` when two definitions have one type
 */
export function toRegistry(found: readonly Found[]): Registry {
  const registry = new Map<string, TaskDefinition>();
  const sources = new Map<string, string>();
  for (const { definition, source } of found) {
    if (registry.get(definition.type) === definition) continue;
    if (definition.type === WEBHOOK_TYPE) {
      throw new PopfleetError(
        'bad-definition',
        `task type "${WEBHOOK_TYPE}" of ${source} is reserved for webhooks`,
      );
    }
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
