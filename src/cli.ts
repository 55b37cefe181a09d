#!/usr/bin/env node
// The `popfleet` command. What a role, or another command, does not need is not loaded: it starts sooner.

import { tolerateLostReaders } from './standard-streams.ts';

tolerateLostReaders();
if (process.argv.length > 2) {
  const [{ createProgram }, { createTerminal }] = await Promise.all([
    import('./command-line.ts'),
    import('./commands/terminal.ts'),
  ]);
  const terminal = createTerminal(process, process.env, (code) => process.exit(code));
  const argv = withoutHelpCommand(process.argv);
  await createProgram(terminal, argv.slice(2)).parseAsync(argv);
} else {
  // As a service starts it: variables say all, so there is no command line to read.
  const { runRole } = await import('./main.ts');
  process.exit(await runRole(process.env));
}

/** `popfleet help task add` is `popfleet task add --help`: what a command has is loaded when it is called. */
function withoutHelpCommand(argv: readonly string[]): string[] {
  const [node = '', file = '', first = '', ...rest] = argv;
  return first === 'help' ? [node, file, ...rest, '--help'] : argv.slice();
}
