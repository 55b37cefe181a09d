// The `load` subcommand: its options, their checks, and Ctrl-C.

import { type Command, InvalidArgumentError } from 'commander';
import { httpUrl, matching, wholeNumber } from '../commands/arguments.ts';
import { findConnection } from '../commands/connection-settings.ts';
import { EXIT } from '../commands/exit-code.ts';
import { readJson } from '../commands/read-json.ts';
import { UsageError } from '../commands/usage-error.ts';
import { QUEUE_NAME, TASK_TYPE } from '../protocol/names.ts';
import { LOAD_DEFAULTS } from './options.ts';
import { EXIT_CODES } from './verdict.ts';

const INTERRUPTS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;
const MAX_TASKS = 10_000_000;
const MAX_IN_FLIGHT = 10_000;
const MAX_DRAIN_SECONDS = 604_800;

const EXAMPLES = `Examples:
  popfleet load                                    1,000 additions to the local server
  popfleet load -n 50000 --in-flight 128           more, and more at the same time
  popfleet load --type multiply --input '{"one":6,"two":7}' --queue heavy
  popfleet load --json > summary.json              one JSON document on stdout
`;

const EXIT_CODE_HELP = `
Exit codes:
  ${EXIT.ok}  nothing was lost                     ${EXIT.rejected}  the server rejected the task
  ${EXIT.failed}  an accepted task was lost            ${EXIT.overLimit}  the server kept refusing (429, 503)
  ${EXIT.usage}  an option is not valid               ${EXIT.interrupted}  interrupted
  ${EXIT.unreachable}  the server cannot be reached
  ${EXIT.denied}  the server denied access`;

type Environment = Parameters<typeof findConnection>[1];

interface ParsedOptions {
  readonly url?: URL;
  readonly keyFile?: string;
  readonly tasks: number;
  readonly type: string;
  readonly input: unknown;
  readonly queue: string;
  readonly inFlight: number;
  readonly drainTimeout: number;
  readonly json: boolean;
  readonly wait: boolean;
}

/** Makes a command what `load` is. Its action sets `process.exitCode`; a usage error ends the process with 2. */
export function addLoadCommand(command: Command, env: Environment): void {
  command
    .description('Flood a running server with tasks, wait for them, and prove by counting that none was lost')
    .option('--url <url>', 'root of the HTTP API (POPFLEET_URL)', httpUrl)
    .option(
      '--key-file <file>',
      'file with an API key of the scopes enqueue and read, instead of POPFLEET_KEY',
    )
    .option('-n, --tasks <count>', 'how many tasks to send', wholeNumber(1, MAX_TASKS), LOAD_DEFAULTS.tasks)
    .option('--type <type>', 'type of each task', matching(TASK_TYPE), LOAD_DEFAULTS.type)
    .option('--input <json>', 'input of each task', json, LOAD_DEFAULTS.input)
    .option('--queue <name>', 'queue to send to', matching(QUEUE_NAME), LOAD_DEFAULTS.queue)
    .option(
      '--in-flight <n>',
      'requests open at the same time',
      wholeNumber(1, MAX_IN_FLIGHT),
      LOAD_DEFAULTS.inFlight,
    )
    .option(
      '--drain-timeout <seconds>',
      'how long accepted tasks may take to finish',
      wholeNumber(1, MAX_DRAIN_SECONDS),
      LOAD_DEFAULTS.drainTimeoutMs / 1_000,
    )
    .option('--json', 'write the summary as one JSON document', LOAD_DEFAULTS.json)
    .option('--no-wait', 'only send; do not wait for the tasks nor check them')
    .addHelpText('before', EXAMPLES)
    .addHelpText('after', EXIT_CODE_HELP)
    .showHelpAfterError(false)
    .exitOverride((error) => process.exit(error.exitCode === 0 ? EXIT.ok : EXIT.usage))
    .action((options: ParsedOptions) => runCommand(options, command, env));
}

function json(text: string): unknown {
  let value: unknown;
  try {
    value = readJson(text, 'It must be plain JSON');
  } catch (error) {
    throw new InvalidArgumentError((error as UsageError).message);
  }
  if (value !== undefined) return value;
  throw new InvalidArgumentError('It must be JSON, such as {"one":1,"two":2}.');
}

/** Server and key are found as for every other command. */
function connectionOf(
  { url, keyFile }: ParsedOptions,
  command: Command,
  env: Environment,
): { readonly url: URL; readonly key?: string | undefined } {
  const given = { ...(url && { url }), ...(keyFile !== undefined && { keyFile }) };
  try {
    const found = findConnection(given, env);
    return { url: new URL(found.url.value), key: found.key?.value };
  } catch (error) {
    if (error instanceof UsageError) command.error(`error: ${error.message}`);
    throw error;
  }
}

async function runCommand(parsed: ParsedOptions, command: Command, env: Environment): Promise<void> {
  const { drainTimeout, url: _, keyFile: __, ...options } = parsed;
  const connection = connectionOf(parsed, command, env);
  // Loaded only for this subcommand: no role needs it.
  const { runLoad } = await import('./load.ts');
  const interrupt = new AbortController();
  const onInterrupt = (): void => interrupt.abort();
  // `once`: the first signal ends the run with a summary, the second one of its kind ends the process as usual.
  for (const signal of INTERRUPTS) process.once(signal, onInterrupt);
  try {
    const summary = await runLoad(
      {
        ...LOAD_DEFAULTS,
        ...options,
        ...connection,
        drainTimeoutMs: drainTimeout * 1_000,
        signal: interrupt.signal,
      },
      process,
    );
    process.exitCode = EXIT_CODES[summary.outcome];
  } finally {
    for (const signal of INTERRUPTS) process.removeListener(signal, onInterrupt);
  }
}
