// The commands that run a role. Options of a role become the variables that config/ reads.

import { type Command, Option } from 'commander';
import type { Terminal } from './commands/terminal.ts';
import { defaultOf, SETTINGS } from './config/settings.ts';

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
/** Those of `popfleet fleet`, whose workers listen nowhere. */
const FLEET_OPTIONS = [
  ['fleetMin', '<number>'],
  ['fleetMax', '<number>'],
  ['fleetWaitSeconds', '<seconds>'],
  ['fleetMemoryMb', '<megabytes>'],
  ...ROLE_OPTIONS.filter(([name]) => name !== 'host' && name !== 'port'),
] as const;

/** Lets a command run the role of its name; `dev` runs server and worker for a developer, `fleet` workers in processes of their own. */
export function addRoleCommand(command: Command, terminal: Terminal): void {
  const options = roleOptions(command.name() === 'fleet' ? FLEET_OPTIONS : ROLE_OPTIONS);
  for (const { option } of options) command.addOption(option);
  command.action(async (given: Record<string, string>) => {
    const variables = options.map(({ variable, option }) => [
      variable,
      given[option.attributeName()] ?? terminal.env[variable],
    ]);
    const env = { ...terminal.env, ...Object.fromEntries(variables) };
    terminal.exit(await run(command.name(), env));
  });
}

async function run(name: string, env: Terminal['env']): Promise<number> {
  if (name === 'dev') return (await import('./dev/dev.ts')).runDev(env);
  if (name === 'fleet') return (await import('./fleet/fleet.ts')).runFleet(env);
  return (await import('./main.ts')).runRole({ ...env, APP_TYPE: name });
}

function roleOptions(
  names: typeof ROLE_OPTIONS | typeof FLEET_OPTIONS,
): { readonly variable: string; readonly option: Option }[] {
  return names.map(([name, value]) => {
    const [variable, , text] = SETTINGS[name];
    const help = `${text} (${defaultOf(SETTINGS[name])})`.replaceAll('`', '');
    const flag = variable
      .toLowerCase()
      .replace(/^fleet_/, '')
      .replaceAll('_', '-');
    return {
      variable,
      option: new Option(`--${flag} ${value}`, help),
    };
  });
}
