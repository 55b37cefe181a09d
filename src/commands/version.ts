// `popfleet version`: as `popfleet --version`, and with --json.

import type { Command } from 'commander';
import { VERSION } from '../version.ts';
import type { Terminal } from './terminal.ts';
import { describeVerb } from './verb.ts';

const TEXTS = {
  usage: 'version',
  description: 'Say which release this program is',
  examples: ['popfleet version'],
};

export function addVersionVerb(version: Command, terminal: Terminal): void {
  describeVerb(version, terminal, TEXTS, async ({ printer }) => {
    if (printer.json) printer.document({ version: VERSION });
    else printer.line(VERSION);
  });
}
