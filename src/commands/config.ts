// `popfleet config`: which server and key the commands use, and where that was found.

import type { Command } from 'commander';
import type { Column } from './printer.ts';
import type { Terminal } from './terminal.ts';
import { describeVerb } from './verb.ts';

const TEXTS = {
  usage: 'config',
  description: 'Show which server and key the commands use, and where each was found',
  examples: ['popfleet config', 'popfleet config --json'],
};

interface Row {
  readonly name: string;
  readonly value: string;
  readonly from: string;
}

const COLUMNS: readonly Column<Row>[] = [
  { title: 'SETTING', text: ({ name }) => name },
  { title: 'VALUE', text: ({ value }) => value },
  { title: 'FROM', text: ({ from }) => from },
];

export function addConfigVerb(config: Command, terminal: Terminal): void {
  describeVerb(config, terminal, TEXTS, async ({ connection, printer }) => {
    const { url, key, file } = connection;
    const rows = [
      { name: 'url', value: url.value, from: url.from },
      { name: 'key', value: key ? masked(key.value) : '', from: key?.from ?? 'none' },
    ];
    if (printer.json) printer.document({ file, settings: rows });
    else printer.table(COLUMNS, rows);
    if (!printer.json) printer.say(`Your own settings, if any, are in ${file}`, 'dim');
    return Promise.resolve();
  });
}

/** The part that names a key; the rest is the secret. */
function masked(key: string): string {
  return /^pf_[a-z0-9]+_/.exec(key)?.[0].concat('…') ?? '…';
}
