// The `init` command.

import type { Command } from 'commander';
import type { Terminal } from '../commands/terminal.ts';
import { PopfleetError } from '../protocol/errors.ts';
import { init } from './init.ts';

/** Makes a command what `init` is. */
export function addInitCommand(command: Command, terminal: Terminal): void {
  command.action(() => {
    try {
      terminal.stdout.write(init(process.cwd()));
    } catch (error) {
      if (!(error instanceof PopfleetError)) throw error;
      terminal.stderr.write(`${error.message}\n`);
      terminal.exit(1);
    }
  });
}
