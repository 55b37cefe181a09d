// `popfleet task import`: sends a file of tasks. Each has a key of its own, so a second run goes on where one broke off.

import { open } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import type { Fault } from '../client/api-error.ts';
import type { ManyTask } from '../client/task-types.ts';
import { EXIT } from './exit-code.ts';
import { FORMATS, type TaskFileFormat, TASK_FILES, type TaskEntry } from './task-file.ts';
import type { Input, Terminal } from './terminal.ts';
import { UsageError } from './usage-error.ts';
import { addVerb, type Session } from './verb.ts';

const TEXTS = {
  usage: 'import <file>',
  description: 'Send a file of tasks, each as POST /v1/tasks takes it; - is stdin',
  examples: [
    'popfleet task import tasks.ndjson',
    'popfleet task import - --prefix monday < tasks.ndjson',
    'popfleet task import tasks.cborseq --format cbor-seq',
  ],
};
const FAULTS_SHOWN = 20;

export function addTaskImport(task: Command, terminal: Terminal): void {
  addVerb(task, terminal, TEXTS, async (session, [file], options) =>
    runImport(
      session,
      file as string,
      options['format'] as TaskFileFormat,
      (options['prefix'] as string | undefined) ?? 'import',
    ),
  )
    .addOption(
      new Option('--format <name>', 'a JSON text a line, or CBOR items one after the other (RFC 8742)')
        .choices(FORMATS)
        .default('ndjson'),
    )
    .option('--prefix <text>', 'another one makes all tasks again: it begins their keys (import)');
}

async function runImport(
  session: Session,
  file: string,
  format: TaskFileFormat,
  prefix: string,
): Promise<number> {
  if (!/^[\x21-\x7e]{1,100}$/.test(prefix)) {
    throw new UsageError('--prefix must have 1 to 100 printable ASCII characters without blanks.');
  }
  const { client, printer, terminal, signal } = session;
  const { unit, read: readEntries, wire } = TASK_FILES[format];
  const { createProgress } = await import('../load/progress.ts');
  const progress = createProgress(terminal.stderr, () => performance.now());
  const counts = { accepted: 0, replayed: 0, rejected: 0 };
  const places: number[] = [];
  const refuse = (place: number, why: string): void => {
    counts.rejected += 1;
    if (counts.rejected <= FAULTS_SHOWN) printer.say(`${unit} ${place}: ${why}`, 'yellow');
  };
  const { stream, bytes } = await openSource(file, terminal.stdin);
  let read = 0;
  const entries = readEntries(stream, (chunkBytes) => (read += chunkBytes));
  const tasks = toTasks(entries, prefix, places, refuse);
  progress.begin(bytes === undefined ? 'tasks' : 'bytes', bytes ?? 0);
  try {
    for await (const item of client.enqueueMany(tasks, { signal, ...wire })) {
      if ('problem' in item) refuse(places[item.index] ?? 0, faultsOf(item.problem));
      else counts[item.replayed ? 'replayed' : 'accepted'] += 1;
      progress.show(bytes === undefined ? item.index + 1 : Math.min(read, bytes));
    }
  } finally {
    progress.end();
    stream.destroy();
  }
  if (printer.json) printer.document(counts);
  else {
    const { accepted, replayed, rejected } = counts;
    printer.line(`${accepted} accepted, ${replayed} were there already, ${rejected} rejected`);
  }
  return counts.rejected > 0 ? EXIT.rejected : EXIT.ok;
}

function faultsOf({
  detail,
  errors,
}: {
  readonly detail: string;
  readonly errors: readonly Fault[];
}): string {
  return errors.length === 0 ? detail : errors.map((one) => `${one.pointer} ${one.detail}`).join('; ');
}

interface Source {
  readonly stream: AsyncIterable<Buffer | string> & { destroy(): unknown };
  /** Length of a file. */
  readonly bytes: number | undefined;
}

/** @throws UsageError */
async function openSource(file: string, stdin: Input): Promise<Source> {
  if (file === '-') return { stream: stdin as Input & Source['stream'], bytes: undefined };
  try {
    const handle = await open(file);
    return { stream: handle.createReadStream(), bytes: (await handle.stat()).size };
  } catch (error) {
    throw new UsageError(
      `${file} cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)}).`,
    );
  }
}

/**
 * @param places gets the place of each task in its file
 * @param refuse called with each entry that is no task
 */
async function* toTasks(
  entries: AsyncIterable<TaskEntry>,
  prefix: string,
  places: number[],
  refuse: (place: number, why: string) => void,
): AsyncGenerator<ManyTask, void, void> {
  for await (const { place, digest, task } of entries) {
    if (typeof task === 'string') {
      refuse(place, task);
      continue;
    }
    places.push(place);
    // The same at the same place has the same key: it is found, not made again.
    yield { key: `${prefix}:${place}:${digest}`, ...task };
  }
}
