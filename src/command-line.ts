// The command line of `popfleet`: what every command shares, and the list of all. Each is loaded when it is called.

import { Command } from 'commander';
import { addCommonOptions } from './commands/common-options.ts';
import { EXIT } from './commands/exit-code.ts';
import { addNouns, loadNoun } from './commands/nouns.ts';
import type { Terminal } from './commands/terminal.ts';
import { VERSION } from './version.ts';

/**
 * The program, whose commands end with `terminal.exit`.
 * @param words what it is called with, without Node and the file
 */
export function createProgram(terminal: Terminal, words: readonly string[]): Command {
  const writesJson = isJsonWanted(words);
  const writeErr = (text: string): void => void terminal.stderr.write(text);
  const program = new Command('popfleet')
    .description(
      'Background tasks for web applications, over Redis. Without a command: the role in APP_TYPE, or all.',
    )
    .version(VERSION)
    .enablePositionalOptions()
    .configureOutput({
      writeOut: (text) => void terminal.stdout.write(text),
      // What follows an error, such as where its help is, is for people.
      writeErr: writesJson ? () => undefined : writeErr,
      outputError: (text) => writeErr(writesJson ? asJson(text) : text),
    })
    .exitOverride((error) => {
      if (writesJson && error.code === 'commander.help') writeErr(asJson('A command is missing: see --help'));
      terminal.exit(error.exitCode === 0 ? EXIT.ok : EXIT.usage);
      throw error;
    })
    .showHelpAfterError('See: popfleet --help')
    .helpCommand(false)
    .hook('preSubcommand', (_program, command) => loadNoun(command, terminal, program.args.slice(1)));
  addCommonOptions(program, { hidden: true });
  addNouns(program);
  return program;
}

/** Asked of the words themselves: when one of them is wrong, nobody has read the others. */
function isJsonWanted(words: readonly string[]): boolean {
  const end = words.indexOf('--');
  return words.slice(0, end < 0 ? words.length : end).includes('--json');
}

/** As errors of verbs are written. */
function asJson(text: string): string {
  const message = text.replace(/^error: /, '').trimEnd();
  return `${JSON.stringify({ error: { code: 'usage', message } })}\n`;
}
