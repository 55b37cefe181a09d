#!/usr/bin/env node
// The `popfleet` command. Options of a role become the variables that config/ reads.

import { Command, Option } from 'commander';
import { defaultOf, SETTINGS } from './config/settings.ts';
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

/** Settings that every role also takes as options, with the name of their value in the help. */
const ROLE_OPTIONS = [
  ['redisUrl', '<url>'],
  ['host', '<address>'],
  ['port', '<number>'],
  ['queues', '<names>'],
  ['concurrency', '<number>'],
  ['threads', '<number>'],
  ['taskModules', '<files>'],
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
    const options = roleOptions();
    for (const { option } of options) command.addOption(option);
    command.action(async (given: Record<string, string>) => {
      const variables = options.map(({ variable, option }) => [
        variable,
        given[option.attributeName()] ?? process.env[variable],
      ]);
      exit(await runRole({ ...process.env, ...Object.fromEntries(variables), APP_TYPE: role }));
    });
  }
  addKeyCommand(program);
  addLoadCommand(program);
  return program;
}

function roleOptions(): { readonly variable: string; readonly option: Option }[] {
  return ROLE_OPTIONS.map(([name, value]) => {
    const [variable, , text] = SETTINGS[name];
    const help = `${text} (${defaultOf(SETTINGS[name])})`.replaceAll('`', '');
    return {
      variable,
      option: new Option(`--${variable.toLowerCase().replaceAll('_', '-')} ${value}`, help),
    };
  });
}

tolerateLostReaders();
await createProgram((code) => process.exit(code)).parseAsync();
