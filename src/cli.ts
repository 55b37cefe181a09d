#!/usr/bin/env node
// The `popfleet` command. What a role, or another command, does not need is not loaded: it starts sooner.

import { tolerateLostReaders } from './standard-streams.ts';

tolerateLostReaders();
if (process.argv.length > 2) {
  const { createProgram } = await import('./command-line.ts');
  await createProgram((code) => process.exit(code)).parseAsync();
} else {
  // As a service starts it: variables say all, so there is no command line to read.
  const { runRole } = await import('./main.ts');
  process.exit(await runRole(process.env));
}
