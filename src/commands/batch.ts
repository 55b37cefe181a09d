// `popfleet batch`: tasks that are counted together.

import type { Command } from 'commander';
import type { BatchView, NewBatch } from '../client/batches.ts';
import { wholeNumber } from './arguments.ts';
import type { Column } from './printer.ts';
import { readTaskInput } from './task-input.ts';
import type { Terminal } from './terminal.ts';
import { TASK_COLUMNS } from './task-output.ts';
import { addVerb, type Session } from './verb.ts';
import { MOST_ROWS, ROWS_SHOWN, writeRows } from './write-rows.ts';

const count =
  (name: 'members' | 'ended' | 'dead') =>
  ({ counts }: BatchView): number =>
    counts[name];

const COLUMNS: readonly Column<BatchView>[] = [
  { title: 'ID', text: ({ id }) => id },
  { title: 'NAME', text: ({ name }) => name ?? '' },
  {
    title: 'STATE',
    text: ({ state }) => state,
    style: ({ state }) => (state === 'dead' ? 'red' : undefined),
  },
  { title: 'TASKS', text: count('members') },
  { title: 'ENDED', text: count('ended') },
  { title: 'DEAD', text: count('dead'), style: ({ counts }) => (counts.dead > 0 ? 'red' : undefined) },
  { title: 'OPENED', text: ({ acceptedAt }) => acceptedAt },
];

function print(printer: Session['printer'], batch: BatchView): void {
  if (printer.json) printer.document(batch);
  else printer.table(COLUMNS, [batch]);
  const { missing = 0 } = batch.counts;
  if (missing > 0) printer.say(`It was interrupted: ${missing} of its tasks were never accepted.`, 'red');
}

export function addBatchVerbs(batch: Command, terminal: Terminal): void {
  const open = {
    usage: 'open',
    description: 'Open a batch, with what follows when all of its tasks have ended',
    examples: [
      'popfleet batch open --name nightly',
      `popfleet batch open --then '{"complete":{"type":"add","input":{"one":1,"two":2}}}'`,
    ],
  };
  addVerb(batch, terminal, open, async ({ client, printer, signal, terminal: { stdin } }, _args, options) => {
    const { name, key, then } = options as Readonly<Record<string, string | undefined>>;
    const follows = then === undefined ? undefined : await readTaskInput([], then, stdin, '--then');
    const given = Object.entries({ name, key, then: follows }).filter(([, value]) => value !== undefined);
    const opened = await client.batches.open(Object.fromEntries(given) as NewBatch, { signal });
    if (printer.json) printer.document(opened);
    else printer.line(opened.id);
    printer.say(`Add tasks with: popfleet batch add ${opened.id} <type> …`, 'dim');
  })
    .option('--name <text>', 'what it is called')
    .option('--key <text>', 'the same key finds the batch that was made with it')
    .option(
      '--then <json>',
      'what follows: {"success"?: {type, input?}, "complete"?: {type, input?}}, @file, or - for stdin',
    );
  addAdd(batch, terminal);
  addList(batch, terminal);
  addFailed(batch, terminal);
  const verbs = [
    { name: 'show', description: 'Show how far a batch is', run: 'get' },
    { name: 'close', description: 'Take no more tasks: it ends when all that it has do', run: 'close' },
  ] as const;
  for (const { name, description, run } of verbs) {
    const texts = { usage: `${name} <id>`, description, examples: [`popfleet batch ${name} BATCH`] };
    addVerb(batch, terminal, texts, async ({ client, printer, signal }, [id]) =>
      print(printer, await client.batches[run](id as string, { signal })),
    );
  }
}

function addList(batch: Command, terminal: Terminal): void {
  const texts = {
    usage: 'list',
    description: 'List batches, newest first',
    examples: ['popfleet batch list', 'popfleet batch list --state dead --name nightly --limit 20'],
  };
  addVerb(batch, terminal, texts, async ({ client, printer, signal }, _args, options) => {
    const {
      limit = ROWS_SHOWN,
      state,
      name,
    } = options as {
      readonly limit?: number;
      readonly state?: BatchView['state'];
      readonly name?: string;
    };
    const rows = client.batches.list({ state, name, signal });
    await writeRows(printer, COLUMNS, rows, { limit, none: 'There are no such batches.' });
  })
    .option('--state <state>', 'open, running, succeeded, dead or cancelled')
    .option('--name <text>', 'whose name begins so')
    .option('--limit <number>', `how many at most (${ROWS_SHOWN})`, wholeNumber(1, MOST_ROWS));
}

function addFailed(batch: Command, terminal: Terminal): void {
  const texts = {
    usage: 'failed <id>',
    description: 'List the tasks of a batch that are dead or cancelled',
    examples: ['popfleet batch failed BATCH', 'popfleet batch failed BATCH --limit 1000'],
  };
  addVerb(batch, terminal, texts, async ({ client, printer, signal }, [id], options) => {
    const { limit = ROWS_SHOWN } = options as { readonly limit?: number };
    const rows = client.batches.failed(id as string, { signal });
    await writeRows(printer, TASK_COLUMNS, rows, { limit, none: 'None of its tasks is dead or cancelled.' });
  }).option('--limit <number>', `how many at most (${ROWS_SHOWN})`, wholeNumber(1, MOST_ROWS));
}

function addAdd(batch: Command, terminal: Terminal): void {
  const texts = {
    usage: 'add <id> <type> [fields...]',
    description: 'Add a task to an open batch',
    examples: ['popfleet batch add BATCH add one=1 two=2'],
  };
  addVerb(batch, terminal, texts, async ({ client, printer, signal, terminal: { stdin } }, args, options) => {
    const [id, type, fields = []] = args as [string, string, string[]?];
    // `--no-input` of all commands has the same name.
    const document = typeof options['input'] === 'string' ? options['input'] : undefined;
    const input = await readTaskInput(fields, document, stdin);
    const queue = options['queue'] as string | undefined;
    const task = { type, input, ...(queue !== undefined && { queue }) };
    const { items } = await client.batches.add(id, [task], { signal });
    if (printer.json) printer.document({ items });
    else printer.line(items[0]?.id ?? '');
  })
    .option('--input <json>', 'the whole input: JSON, @file with JSON, or - for JSON on stdin')
    .option('--queue <name>', 'its queue; that of the type unless given');
}
