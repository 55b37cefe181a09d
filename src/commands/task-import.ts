// `popfleet task import`: sends a file of tasks. Each line has a key of its own, so a second run goes on where one broke off.

import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { Command } from 'commander';
import type { Fault } from '../client/api-error.ts';
import type { ManyTask } from '../client/task-types.ts';
import { createProgress } from '../load/progress.ts';
import { EXIT } from './exit-code.ts';
import { readJson } from './read-json.ts';
import type { Input, Terminal } from './terminal.ts';
import { UsageError } from './usage-error.ts';
import { addVerb, type Session } from './verb.ts';

const TEXTS = {
  usage: 'import <file>',
  description: 'Send a file with a task a line, as POST /v1/tasks takes it (NDJSON); - is stdin',
  examples: ['popfleet task import tasks.ndjson', 'popfleet task import - --prefix monday < tasks.ndjson'],
};
const FAULTS_SHOWN = 20;

export function addTaskImport(task: Command, terminal: Terminal): void {
  addVerb(task, terminal, TEXTS, async (session, [file], options) =>
    runImport(session, file as string, (options['prefix'] as string | undefined) ?? 'import'),
  ).option('--prefix <text>', 'another one makes all tasks again: it begins their keys (import)');
}

async function runImport(session: Session, file: string, prefix: string): Promise<number> {
  if (!/^[\x21-\x7e]{1,100}$/.test(prefix)) {
    throw new UsageError('--prefix must have 1 to 100 printable ASCII characters without blanks.');
  }
  const { client, printer, terminal, signal } = session;
  const progress = createProgress(terminal.stderr, () => performance.now());
  const counts = { accepted: 0, replayed: 0, rejected: 0 };
  const places: number[] = [];
  const refuse = (place: number, why: string): void => {
    counts.rejected += 1;
    if (counts.rejected <= FAULTS_SHOWN) printer.say(`line ${place}: ${why}`, 'yellow');
  };
  const { stream, bytes } = await openSource(file, terminal.stdin);
  let read = 0;
  const lines = readLines(stream, (chunkBytes) => (read += chunkBytes));
  progress.begin(bytes === undefined ? 'tasks' : 'bytes', bytes ?? 0);
  try {
    for await (const item of client.enqueueMany(toTasks(lines, prefix, places, refuse), { signal })) {
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

async function* readLines(
  stream: AsyncIterable<Buffer | string>,
  onBytes: (bytes: number) => void,
): AsyncGenerator<string, void, void> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of stream) {
    onBytes(Buffer.byteLength(chunk));
    rest += typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true });
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
  rest += decoder.decode();
  if (rest !== '') yield rest;
}

/**
 * @param places gets the line number of each task
 * @param refuse called with each line that is no task
 */
async function* toTasks(
  lines: AsyncIterable<string>,
  prefix: string,
  places: number[],
  refuse: (place: number, why: string) => void,
): AsyncGenerator<ManyTask, void, void> {
  let place = 0;
  for await (const line of lines) {
    place += 1;
    if (line.trim() === '') continue;
    const task = readTask(line);
    if (typeof task === 'string') {
      refuse(place, task);
      continue;
    }
    places.push(place);
    yield { key: keyOf(prefix, place, line), ...task };
  }
}

/** @returns what is wrong with a line that is no task */
function readTask(line: string): ManyTask | string {
  try {
    const task = readJson(line, 'not accepted');
    if (typeof task === 'object' && task !== null && !Array.isArray(task)) return task as ManyTask;
  } catch (error) {
    return (error as UsageError).message;
  }
  return 'must be a JSON object, such as {"type":"add","input":{"one":1,"two":2}}';
}

/** The same line at the same place has the same key: it is found, not made again. */
function keyOf(prefix: string, place: number, line: string): string {
  return `${prefix}:${place}:${createHash('sha256').update(line).digest('hex').slice(0, 16)}`;
}
