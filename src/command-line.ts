// The command line of `popfleet`: what every command shares, and the list of all. Each is loaded when it is called.

import { Command } from 'commander';
import { addCommonOptions } from './commands/common-options.ts';
import { EXIT } from './commands/exit-code.ts';
import { addNouns, loadNoun } from './commands/nouns.ts';
import type { Terminal } from './commands/terminal.ts';
import { VERSION } from './version.ts';

/** The program, whose commands end with `terminal.exit`. */
export function createProgram(terminal: Terminal): Command {
  const program = new Command('popfleet')
    .description(
      'Background tasks for web applications, over Redis. Without a command: the role in APP_TYPE, or all.',
    )
    .version(VERSION)
    .enablePositionalOptions()
    .configureOutput({
      writeOut: (text) => void terminal.stdout.write(text),
      writeErr: (text) => void terminal.stderr.write(text),
    })
    .exitOverride((error) => {
      terminal.exit(error.exitCode === 0 ? EXIT.ok : EXIT.usage);
      throw error;
    })
    .showHelpAfterError('See: popfleet --help')
    .helpCommand(false)
    .hook('preSubcommand', (_program, command) => loadNoun(command, terminal, program.args[1]));
  addCommonOptions(program, { hidden: true });
  addNouns(program);
  return program;
}
