import { type Command, Option } from 'commander';
import { httpUrl } from './arguments.ts';

/** Options that stand before the noun, between noun and verb, or behind them. @param hidden from the help */
export function addCommonOptions(command: Command, { hidden = false } = {}): Command {
  const options = [
    new Option('--url <url>', 'root of the HTTP API (POPFLEET_URL)').argParser(httpUrl),
    new Option('--key-file <file>', 'file with the API key, instead of POPFLEET_KEY'),
    new Option('--json', 'write JSON'),
    new Option('--yes', 'do not ask'),
    new Option('--no-input', 'never ask: end instead'),
    new Option('--no-color', 'write without colours'),
    new Option('--debug', 'show where an error comes from'),
  ];
  for (const option of options) {
    // A verb may have an option of this name that means something else.
    if (command.options.every(({ long }) => long !== option.long)) command.addOption(option.hideHelp(hidden));
  }
  return command;
}
