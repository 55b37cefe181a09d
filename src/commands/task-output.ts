// How tasks are shown.

import type { TaskRow, TaskView } from '../client/shapes.ts';
import type { Column, Printer, Style } from './printer.ts';

const STATE_STYLES: ReadonlyMap<string, Style> = new Map([
  ['succeeded', 'green'],
  ['dead', 'red'],
  ['cancelled', 'yellow'],
  ['running', 'bold'],
]);

export function styleOfState(state: string): Style | undefined {
  return STATE_STYLES.get(state);
}

export const TASK_COLUMNS: readonly Column<TaskRow>[] = [
  { title: 'ID', text: ({ id }) => id },
  { title: 'STATE', text: ({ state }) => state, style: ({ state }) => styleOfState(state) },
  { title: 'TYPE', text: ({ type }) => type },
  { title: 'QUEUE', text: ({ queue }) => queue },
  { title: 'ATTEMPT', text: ({ attempt }) => attempt },
  { title: 'ACCEPTED', text: ({ acceptedAt }) => acceptedAt },
  { title: 'ERROR', text: ({ error }) => error && `${error.name}: ${error.message}` },
];

const NAME_CHARS = 'fingerprint'.length;

/** All that is known of a task, a line each. */
export function writeTask(printer: Printer, task: TaskView): void {
  const { error } = task;
  const lines: readonly (readonly [string, unknown])[] = [
    ['id', task.id],
    ['type', task.type],
    ['state', task.state],
    ['queue', task.queue],
    ['priority', task.priority],
    ['attempt', task.attempt],
    ['accepted', task.acceptedAt],
    ['due', task.dueAt],
    ['expires', task.expiresAt],
    ['started', task.startedAt],
    ['finished', task.finishedAt],
    ['worker', task.worker],
    ['progress', task.progress],
    ['input', task.input],
    ['result', task.result],
    ['error', error && `${error.name}: ${error.message}`],
    ['fingerprint', error?.fingerprint],
  ];
  for (const [name, value] of lines) {
    if (value === undefined) continue;
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    const style = name === 'state' ? styleOfState(task.state) : undefined;
    printer.record([printer.isTerminal ? name.padEnd(NAME_CHARS) : name, text], style);
  }
}

/** Tells a person how a task has ended; its result is data. @returns whether it has succeeded */
export function writeEnd(printer: Printer, task: TaskView): boolean {
  const hasSucceeded = task.state === 'succeeded';
  if (printer.json) printer.document(task);
  else if (hasSucceeded) printer.document(task.result ?? null);
  if (!printer.json && !hasSucceeded) {
    const why = task.error ? `: ${task.error.name}: ${task.error.message}` : '';
    printer.say(`The task ${task.id} is ${task.state}${why}`, styleOfState(task.state));
    if (task.state === 'dead') printer.say(`Run it again: popfleet task retry ${task.id}`);
  }
  return hasSucceeded;
}
