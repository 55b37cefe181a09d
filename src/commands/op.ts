// `popfleet op`: operations on many tasks, while they go on and after that.

import type { Command } from 'commander';
import type { OperationView } from '../client/shapes.ts';
import { summaryOf, watchOperation } from './operate.ts';
import type { Column } from './printer.ts';
import type { Terminal } from './terminal.ts';
import { addVerb, type Session } from './verb.ts';
import { writeItems } from './write-rows.ts';

const COLUMNS: readonly Column<OperationView>[] = [
  { title: 'ID', text: ({ id }) => id },
  { title: 'ACTION', text: ({ action }) => action },
  { title: 'QUEUE', text: ({ queue }) => queue },
  {
    title: 'STATE',
    text: ({ state }) => state,
    style: ({ state }) => (state === 'stopped' ? 'red' : undefined),
  },
  { title: 'CREATED', text: ({ createdAt }) => createdAt },
  { title: 'WHAT IT DID', text: summaryOf },
];

export function addOpVerbs(op: Command, terminal: Terminal): void {
  const list = {
    usage: 'list',
    description: 'List operations, newest first',
    examples: ['popfleet op list'],
  };
  addVerb(op, terminal, list, async ({ client, printer, signal }, _args, options) => {
    const items = await client.operations.list({ queue: options['queue'] as string | undefined, signal });
    writeItems(printer, COLUMNS, items, 'There are no operations.');
  }).option('--queue <name>', 'of this queue alone');
  const show = {
    usage: 'show <id>',
    description: 'Show an operation; with --watch how far it is, until it is over',
    examples: ['popfleet op show OP', 'popfleet op show OP --watch'],
  };
  addVerb(op, terminal, show, async (session, [id], options) => {
    const { client, printer, signal } = session;
    const seen = await client.operations.get(id as string, { signal });
    if (options['watch'] === true) return watchOperation(session, seen);
    return print(printer, seen);
  }).option('--watch', 'show how far it is, and wait until it is over');
  const cancel = {
    usage: 'cancel <id>',
    description: 'End an operation; what it has done stays done',
    examples: ['popfleet op cancel OP'],
  };
  addVerb(op, terminal, cancel, async ({ client, printer, signal }, [id]) =>
    print(printer, await client.operations.cancel(id as string, { signal })),
  );
}

function print(printer: Session['printer'], operation: OperationView): void {
  if (printer.json) printer.document(operation);
  else printer.table(COLUMNS, [operation]);
}
