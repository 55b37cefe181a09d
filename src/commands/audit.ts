// `popfleet audit`: what was changed, and by whom.

import type { Command } from 'commander';
import type { AuditEntry } from '../client/fleet-shapes.ts';
import { wholeNumber } from './arguments.ts';
import type { Column } from './printer.ts';
import type { Terminal } from './terminal.ts';
import { addVerb } from './verb.ts';
import { MOST_ROWS, ROWS_SHOWN, writeRows } from './write-rows.ts';

const COLUMNS: readonly Column<AuditEntry>[] = [
  { title: 'AT', text: ({ at }) => at },
  { title: 'OPERATION', text: ({ operation }) => operation },
  { title: 'BY', text: ({ by }) => by },
  { title: 'QUEUE', text: ({ queue }) => queue },
  { title: 'REQUEST', text: ({ requestId }) => requestId },
  {
    title: 'OF',
    text: ({ target }) =>
      Object.entries(target)
        .map(([name, value]) => `${name}=${value}`)
        .join(' '),
  },
];

export function addAuditVerbs(audit: Command, terminal: Terminal): void {
  const texts = {
    usage: 'list',
    description: 'List changes that need the scope admin, newest first',
    examples: [
      'popfleet audit list',
      'popfleet audit list --queue default --operation pauseQueue --limit 20',
    ],
  };
  addVerb(audit, terminal, texts, async ({ client, printer, signal }, _args, options) => {
    const { limit = ROWS_SHOWN, queue, operation, by } = options as Wanted;
    await writeRows(printer, COLUMNS, client.audit.list({ queue, operation, by, signal }), {
      limit,
      none: 'Nothing such was changed.',
    });
  })
    .option('--queue <name>', 'what was about this queue')
    .option('--operation <id>', 'of this kind, as the document of the API calls it')
    .option('--by <key>', 'by the key with this id')
    .option('--limit <count>', `at most so many (${ROWS_SHOWN})`, wholeNumber(1, MOST_ROWS));
}

interface Wanted {
  readonly queue?: string;
  readonly operation?: string;
  readonly by?: string;
  readonly limit?: number;
}
