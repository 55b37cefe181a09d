// The frame of all commands that talk to a server: common options, the session of one run, errors and exit codes.

import type { Command } from 'commander';
import { ApiError } from '../client/api-error.ts';
import { Popfleet } from '../client/popfleet.ts';
import { addCommonOptions } from './common-options.ts';
import { confirm } from './confirm.ts';
import { type FoundConnection, findConnection } from './connection-settings.ts';
import { EXIT } from './exit-code.ts';
import { exitCodeOf, wordOf } from './exit-code-of.ts';
import { createPrinter, type Printer } from './printer.ts';
import type { Terminal } from './terminal.ts';

const MANUAL = 'docs/command-line.md';
/** A person waits: a server that is away is reported after a second or so. */
const RETRIES = 2;

/** What a verb works with. */
export interface Session {
  readonly client: Popfleet;
  readonly connection: FoundConnection;
  readonly printer: Printer;
  readonly terminal: Terminal;
  /** Fires at Ctrl-C. */
  readonly signal: AbortSignal;
  /** Asks a person, unless `--yes` was given. @throws UsageError when there is nobody to ask */
  confirm(question: string): Promise<boolean>;
}

interface VerbTexts {
  /** Name and arguments, such as `get <id...>`. */
  readonly usage: string;
  readonly description: string;
  /** Whole commands, which docs/command-line.md has too. */
  readonly examples: readonly string[];
}

/** @returns the exit code; nothing stands for 0 */
type RunVerb = (
  session: Session,
  args: readonly unknown[],
  options: Readonly<Record<string, unknown>>,
) => Promise<number | void>;

interface CommonOptions {
  readonly url?: URL;
  readonly keyFile?: string;
  readonly json?: boolean;
  readonly debug?: boolean;
  readonly yes?: boolean;
  readonly color?: boolean;
  readonly input?: boolean | string;
}

/** Adds a command that does something. Further options are added to what is returned. */
export function addVerb(parent: Command, terminal: Terminal, texts: VerbTexts, run: RunVerb): Command {
  const verb = parent.command(texts.usage);
  return describeVerb(verb, terminal, texts, run);
}

/** The same for a command that is there already: one without verbs of its own. */
export function describeVerb(verb: Command, terminal: Terminal, texts: VerbTexts, run: RunVerb): Command {
  const examples = texts.examples.map((line) => `  ${line}\n`).join('');
  addCommonOptions(verb)
    .description(texts.description)
    .addHelpText('before', `Examples:\n${examples}`)
    .addHelpText('after', `\nMore: ${MANUAL}`)
    .showHelpAfterError(`See: ${pathOf(verb)} --help`)
    .action(async () => {
      const options = optionsOf(verb);
      const code = await runVerb(terminal, options, (session) => run(session, verb.processedArgs, options));
      // A reader that takes its time gets everything.
      await new Promise<void>((resolve) => terminal.stdout.write('', () => resolve()));
      terminal.exit(code);
    });
  return verb;
}

function pathOf(command: Command): string {
  return command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name();
}

/** Those that were given, at whichever place; the last one counts. */
function optionsOf(command: Command): CommonOptions & Readonly<Record<string, unknown>> {
  const given = command.parent ? { ...optionsOf(command.parent) } : {};
  for (const [name, value] of Object.entries(command.opts())) {
    const isDefault = command.getOptionValueSource(name) === 'default';
    if (value !== undefined && !(isDefault && Object.hasOwn(given, name)))
      Object.assign(given, { [name]: value });
  }
  return given;
}

async function runVerb(
  terminal: Terminal,
  options: CommonOptions,
  run: (session: Session) => Promise<number | void>,
): Promise<number> {
  const printer = createPrinter(terminal, {
    json: options.json === true,
    color: options.color !== false,
  });
  const leave = new AbortController();
  const interrupt = terminal.interrupt();
  const onInterrupt = (): void => leave.abort(new Error('interrupted'));
  if (interrupt.aborted) onInterrupt();
  else interrupt.addEventListener('abort', onInterrupt, { once: true });
  // Nobody reads any more, as behind `| head`: there is nothing left to do.
  let isUnread = false;
  terminal.stdout.once('error', () => {
    isUnread = true;
    leave.abort(new Error('nobody reads'));
  });
  try {
    const connection = findConnection(options, terminal.env);
    const { url, key } = connection;
    const client = new Popfleet({ url: url.value, key: key?.value, retries: RETRIES });
    const mayAsk = options.input !== false;
    const code = await run({
      client,
      connection,
      printer,
      terminal,
      signal: leave.signal,
      confirm: async (question) =>
        options.yes === true ||
        confirm(terminal, question, { mayAsk, instead: '--yes', signal: leave.signal }),
    });
    return code ?? EXIT.ok;
  } catch (error) {
    if (isUnread) return EXIT.ok;
    if (interrupt.aborted) {
      printer.say('Interrupted. What was sent until now stands.', 'yellow');
      return EXIT.interrupted;
    }
    report(error, printer, options.debug === true);
    return exitCodeOf(error);
  }
}

/** Says what happened, why, and what to do. */
function report(error: unknown, printer: Printer, isDebugging: boolean): void {
  if (printer.json) {
    printer.say(JSON.stringify({ error: toPlain(error) }));
    return;
  }
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  // What is wrong with each field has a line of its own below.
  const isOfFields = error instanceof ApiError && error.code === 'invalid-input' && error.errors.length > 0;
  printer.say(`error: ${isOfFields ? error.title : withCommands(message)}`, 'red');
  if (error instanceof ApiError) {
    for (const { pointer, detail } of error.errors) printer.say(`  ${pointer} ${withCommands(detail)}`);
    const hint = hintFor(error);
    if (hint !== undefined) printer.say(hint);
    if (error.requestId !== undefined) printer.say(`request: ${error.requestId}`, 'dim');
  }
  if (isDebugging) printer.say(stack ?? '', 'dim');
}

/** The nouns whose `list` shows what an answer of the API leads to. */
const LISTED_BY: Readonly<Record<string, string>> = {
  queues: 'queue',
  workers: 'worker',
  schedules: 'schedule',
  operations: 'op',
  errors: 'dead',
  webhooks: 'webhook',
};

/** A message of the API, which names requests, for somebody who types commands. */
function withCommands(message: string): string {
  return message.replace(/GET \/v1\/(\w+)(?= lists them)/, (request, what: string) => {
    const noun = LISTED_BY[what];
    return noun === undefined ? request : `popfleet ${noun} list`;
  });
}

function toPlain(error: unknown): object {
  if (!(error instanceof ApiError))
    return { code: wordOf(error), message: error instanceof Error ? error.message : String(error) };
  const { code, status, message, errors, requestId, retryAfterMs } = error;
  return { code, status, message, errors, requestId, retryAfterMs };
}

/** What to do about an error, where its message does not say that. */
export function hintFor({ status, code, retryAfterMs }: ApiError): string | undefined {
  if (status === 0 && code !== 'invalid-input')
    return 'Is a server running? `popfleet all` starts one; --url or POPFLEET_URL name another one.';
  if (code === 'not-popfleet') return 'Is it the root of the API? --url and POPFLEET_URL name it.';
  if (status === 401)
    return 'Give a key in POPFLEET_KEY, or in a file with --key-file. `popfleet key` makes one.';
  if (status === 403)
    return 'The key needs another scope or queue: `popfleet key --scopes … --queues …` makes one.';
  return retryAfterMs === undefined ? undefined : `Try again in ${Math.ceil(retryAfterMs / 1_000)} s.`;
}
