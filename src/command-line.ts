// The command line of `popfleet`. Options of a role become the variables that config/ reads.

import { Command, Option } from 'commander';
import { defaultOf, SETTINGS } from './config/settings.ts';
import { addKeyCommand } from './key-command.ts';
import { addLoadCommand } from './load/command.ts';
import { addVerifyWebhookCommand } from './verify-webhook-command.ts';
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

/** @param exit ends the process once a role has ended */
export function createProgram(exit: (code: number) => void): Command {
  const run = async (env: NodeJS.ProcessEnv): Promise<void> => {
    const { runRole } = await import('./main.ts');
    exit(await runRole(env));
  };
  const program = new Command('popfleet')
    .description(
      'Background tasks for web applications, over Redis. Without a command: the role in APP_TYPE, or all.',
    )
    .version(VERSION)
    .showHelpAfterError()
    .action(() => run(process.env));
  for (const [role, description] of Object.entries(ROLES)) {
    const command = program.command(role).description(description);
    const options = roleOptions();
    for (const { option } of options) command.addOption(option);
    command.action((given: Record<string, string>) => {
      const variables = options.map(({ variable, option }) => [
        variable,
        given[option.attributeName()] ?? process.env[variable],
      ]);
      return run({ ...process.env, ...Object.fromEntries(variables), APP_TYPE: role });
    });
  }
  addKeyCommand(program);
  addLoadCommand(program);
  addVerifyWebhookCommand(program);
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
