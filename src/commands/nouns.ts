// All commands, by their first word. The module of each is loaded when it is called: none needs those of another.

import { Command } from 'commander';
import { addCommonOptions } from './common-options.ts';
import type { Terminal } from './terminal.ts';

interface Noun {
  readonly description: string;
  /** Another word for it. */
  readonly alias?: string;
  /** Adds its verbs, or what it does itself. @param words what stands behind it */
  load(command: Command, terminal: Terminal, words: readonly string[]): Promise<void>;
}

const addRole = async (command: Command, terminal: Terminal): Promise<void> =>
  (await import('../role-command.ts')).addRoleCommand(command, terminal);

/** Whether a verb stands behind the name of a role, as in `worker --json list`; the help shows role and verbs. */
function isVerbNext([word = '-', ...rest]: readonly string[]): boolean {
  const [name, value] = word.split('=', 2);
  const option = addCommonOptions(new Command()).options.find(({ long }) => long === name);
  if (option === undefined) return /^(?:[^-]|-h$|--help$)/.test(word);
  return isVerbNext(rest.slice(option.required && value === undefined ? 1 : 0));
}

const NOUNS: readonly (readonly [string, Noun])[] = [
  ['server', { description: 'run a role: take tasks over HTTP', load: addRole }],
  [
    'worker',
    {
      description:
        'run a role: run tasks; `worker list` shows those that are alive, and `quiet` and `stop` end one',
      async load(command, terminal, words) {
        await addRole(command, terminal);
        if (isVerbNext(words)) (await import('./worker.ts')).addWorkerVerbs(command, terminal);
      },
    },
  ],
  [
    'all',
    {
      description: 'run both roles in one process, with a Redis of its own when REDIS_URL is not set',
      load: addRole,
    },
  ],
  [
    'fleet',
    {
      description: 'run workers in processes of their own, as many as the queues want, and replace what ends',
      load: addRole,
    },
  ],
  [
    'dev',
    { description: 'run both roles, and load the task modules anew when a file changes', load: addRole },
  ],
  [
    'init',
    {
      description: 'make a first task module and a package script in this folder',
      load: async (command, terminal) =>
        (await import('../dev/init-command.ts')).addInitCommand(command, terminal),
    },
  ],
  [
    'status',
    {
      description: 'whether the fleet is well, and its queues',
      load: async (command, terminal) => (await import('./status.ts')).addStatusVerb(command, terminal),
    },
  ],
  [
    'task',
    {
      description: 'send tasks, wait for them, look at them, change them',
      load: async (command, terminal) => (await import('./task.ts')).addTaskVerbs(command, terminal),
    },
  ],
  [
    'workflow',
    {
      description: 'tasks that need each other: send them as one, look at them, run again what failed',
      load: async (command, terminal) => (await import('./workflow.ts')).addWorkflowVerbs(command, terminal),
    },
  ],
  [
    'dead',
    {
      description: 'dead tasks by their cause: look at them, run them again, remove or export them',
      load: async (command, terminal) => (await import('./dead.ts')).addDeadVerbs(command, terminal),
    },
  ],
  [
    'op',
    {
      description: 'operations on many tasks',
      load: async (command, terminal) => (await import('./op.ts')).addOpVerbs(command, terminal),
    },
  ],
  [
    'batch',
    {
      description: 'tasks that are counted together, and what follows when all have ended',
      load: async (command, terminal) => (await import('./batch.ts')).addBatchVerbs(command, terminal),
    },
  ],
  [
    'queue',
    {
      description: 'numbers of queues, pause and resume',
      load: async (command, terminal) => (await import('./queue.ts')).addQueueVerbs(command, terminal),
    },
  ],
  [
    'schedule',
    {
      description: 'make tasks by the clock',
      load: async (command, terminal) => (await import('./schedule.ts')).addScheduleVerbs(command, terminal),
    },
  ],
  [
    'type',
    {
      description: 'task types that the server accepts',
      load: async (command, terminal) => (await import('./type.ts')).addTypeVerbs(command, terminal),
    },
  ],
  [
    'webhook',
    {
      description: 'who is told when tasks, workflows and batches have ended',
      load: async (command, terminal) => (await import('./webhook.ts')).addWebhookVerbs(command, terminal),
    },
  ],
  [
    'audit',
    {
      description: 'what was changed, and by whom',
      load: async (command, terminal) => (await import('./audit.ts')).addAuditVerbs(command, terminal),
    },
  ],
  [
    'doctor',
    {
      description: 'look at everything that may be wrong, and say what to do',
      load: async (command, terminal) => (await import('./doctor.ts')).addDoctorVerb(command, terminal),
    },
  ],
  [
    'mcp',
    {
      description: 'serve the API as tools of the Model Context Protocol',
      load: async (command, terminal) => (await import('./mcp.ts')).addMcpVerb(command, terminal),
    },
  ],
  [
    'config',
    {
      description: 'which server and key the commands use',
      load: async (command, terminal) => (await import('./config.ts')).addConfigVerb(command, terminal),
    },
  ],
  [
    'completion',
    {
      description: 'a script that lets a shell complete commands',
      load: async (command, terminal) =>
        (await import('./completion.ts')).addCompletionVerb(command, terminal, () =>
          loadAll(command, terminal),
        ),
    },
  ],
  [
    'version',
    {
      description: 'the release of this program',
      load: async (command, terminal) => (await import('./version.ts')).addVersionVerb(command, terminal),
    },
  ],
  [
    'key',
    {
      description: 'make an API key',
      load: async (command) => (await import('../key-command.ts')).addKeyCommand(command),
    },
  ],
  [
    'load',
    {
      description: 'flood a server with tasks, and prove that none was lost',
      alias: 'bench',
      load: async (command, { env }) => (await import('../load/command.ts')).addLoadCommand(command, env),
    },
  ],
  [
    'verify-webhook',
    {
      description: 'check the signature of a webhook that was received',
      load: async (command) =>
        (await import('../verify-webhook-command.ts')).addVerifyWebhookCommand(command),
    },
  ],
];

/** Adds the nouns to the program. What stands behind them is added by `loadNoun`, before a command is parsed. */
export function addNouns(program: Command): void {
  for (const [name, { description, alias }] of NOUNS) {
    const command = program
      .command(name)
      .description(description)
      .showHelpAfterError(`See: popfleet ${name} --help`);
    if (alias !== undefined) command.alias(alias);
  }
}

/**
 * Adds to a command of the program what its noun has; the second time nothing.
 * @param words what stands behind it
 */
export async function loadNoun(
  command: Command,
  terminal: Terminal,
  words: readonly string[] = [],
): Promise<void> {
  const noun = NOUNS.find(([name]) => name === command.name())?.[1];
  if (!noun || LOADED.has(command)) return;
  LOADED.add(command);
  await noun.load(command, terminal, words);
  // Options may also stand between noun and verb; a role, which has no verbs then, has its own.
  if (command.commands.length > 0) addCommonOptions(command, { hidden: true });
}

const LOADED = new WeakSet<Command>();

async function loadAll(command: Command, terminal: Terminal): Promise<Command> {
  const program = command.parent ?? command;
  for (const one of program.commands) await loadNoun(one, terminal, ['--help']);
  return program;
}
