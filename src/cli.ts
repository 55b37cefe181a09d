#!/usr/bin/env node
// The `popfleet` command. Options of a role become the variables that config.ts reads.

import { Command } from 'commander';
import { addKeyCommand } from './key-command.ts';
import { addLoadCommand } from './load/command.ts';
import { runRole } from './main.ts';
import { tolerateLostReaders } from './standard-streams.ts';
import { VERSION } from './version.ts';

const ROLES = {
  server: 'take tasks over HTTP',
  worker: 'run tasks',
  all: 'both in one process, with a Redis of its own when REDIS_URL is not set',
} as const;

/** Options that every role takes, with the variable each one sets. */
const ROLE_OPTIONS = [
  ['--redis-url <url>', 'redis://, rediss:// or the path of a unix socket', 'REDIS_URL'],
  ['--host <address>', 'address to listen on (127.0.0.1)', 'HOST'],
  ['--port <number>', 'port to listen on (3000)', 'PORT'],
  ['--queues <names>', 'queues to serve, separated by commas (default)', 'QUEUES'],
  ['--concurrency <number>', 'tasks at the same time (the number of cores)', 'CONCURRENCY'],
  ['--threads <number>', 'threads that run them (as many as the concurrency)', 'THREADS'],
  ['--tasks <files>', 'modules with task definitions, separated by commas', 'TASKS'],
] as const;

function createProgram(exit: (code: number) => void): Command {
  const program = new Command('popfleet')
    .description(
      'Background tasks for web applications, over Redis. Without a command: the role in APP_TYPE, or all.',
    )
    .version(VERSION)
    .showHelpAfterError()
    .action(async () => exit(await runRole(process.env)));
  for (const [role, description] of Object.entries(ROLES)) {
    const command = program.command(role).description(description);
    for (const [flags, text] of ROLE_OPTIONS) command.option(flags, text);
    command.action(async (options: Record<string, string>) => {
      exit(await runRole({ ...process.env, ...toVariables(options), APP_TYPE: role }));
    });
  }
  addKeyCommand(program);
  addLoadCommand(program);
  return program;
}

/** commander names an option in camel case: `redisUrl` belongs to `--redis-url`. */
function toVariables(options: Readonly<Record<string, string>>): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const [flags, , variable] of ROLE_OPTIONS) {
    const name = flags
      .split(' ', 1)[0]
      ?.slice(2)
      .replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
    const value = name === undefined ? undefined : options[name];
    if (value !== undefined) variables[variable] = value;
  }
  return variables;
}

tolerateLostReaders();
await createProgram((code) => process.exit(code)).parseAsync();
