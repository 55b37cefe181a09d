// `popfleet task add`: sends one task.

import type { Command } from 'commander';
import type { TaskOptions } from '../client/shapes.ts';
import { compact } from '../protocol/compact.ts';
import { LANES } from '../protocol/lane.ts';
import { another, duration, wholeNumber } from './arguments.ts';
import { EXIT } from './exit-code.ts';
import { readTaskInput } from './task-input.ts';
import { writeEnd } from './task-output.ts';
import type { Input, Terminal } from './terminal.ts';
import { UsageError } from './usage-error.ts';
import { addVerb, type Session } from './verb.ts';
import { waitForTask } from './wait-for-task.ts';

interface AddOptions {
  readonly queue?: string;
  readonly priority?: 'high' | 'normal' | 'low';
  readonly delay?: number;
  readonly at?: string;
  readonly ttl?: number;
  readonly expiresAt?: string;
  readonly timeout?: number;
  readonly resultTtl?: number;
  readonly maxAttempts?: number;
  readonly tag?: string[];
  readonly webhook?: string;
  readonly onEnd?: string;
  readonly key?: string;
  readonly durability?: 'memory' | 'disk' | 'replicas';
  readonly input?: string | boolean;
  /** Milliseconds; true: as long as it takes. */
  readonly wait?: number | true;
  readonly dryRun?: boolean;
}

const MOST_ATTEMPTS = 1_000;

const TEXTS = {
  usage: 'add <type> [fields...]',
  description:
    'Send a task. Its input is made of the fields, such as one=1; a value that is JSON stands for what it says',
  examples: [
    'popfleet task add add one=1 two=2 --wait',
    `popfleet task add add --input '{"one":1,"two":2}' --priority high`,
    'popfleet task add add one=1 two=2 --delay 10s --key order-4711',
    'popfleet task add add one=1 two=2 --tag eu --tag vip --result-ttl 1h',
    `popfleet task add add one=1 two=2 --on-end '{"type":"add","input":{"one":3,"two":4}}'`,
    'popfleet task add add one=1 two=2 --dry-run',
  ],
};

export function addTaskAdd(task: Command, terminal: Terminal): void {
  addVerb(task, terminal, TEXTS, async (session, [type, fields], options) =>
    runAdd(session, type as string, fields as readonly string[], options as AddOptions),
  )
    .option('--input <json>', 'the whole input: JSON, @file, or - for stdin')
    .option('--queue <name>', 'where it waits')
    .option('--priority <word>', `one of ${LANES.join(', ')}`)
    .option('--delay <duration>', 'not before so long from now, such as 10s', duration)
    .option('--at <time>', 'not before this time, such as 2026-12-01T08:00:00Z')
    .option('--ttl <duration>', 'not started by then, it is dead', duration)
    .option('--expires-at <time>', 'not started by this time, it is dead')
    .option('--timeout <duration>', 'stop its handler after so long', duration)
    .option('--max-attempts <count>', 'how often it may fail', wholeNumber(1, MOST_ATTEMPTS))
    .option('--result-ttl <duration>', 'keep it for so long once it has ended', duration)
    .option('--tag <text>', 'what it is found by; may be given several times', another)
    .option('--webhook <url>', 'who is told when it ends')
    .option('--on-end <json>', 'the task that follows its end: {type, input?, queue?}, @file, or - for stdin')
    .option('--key <text>', 'idempotency key: the same one finds the same task')
    .option('--durability <word>', 'where Redis has it before the answer: memory, disk or replicas')
    .option('--wait [duration]', 'wait for its result, at most so long (--wait=30s)', duration)
    .option('--dry-run', 'only check it');
}

async function runAdd(
  session: Session,
  type: string,
  fields: readonly string[],
  given: AddOptions,
): Promise<number | void> {
  const { client, printer, terminal, signal } = session;
  if (given.delay !== undefined && given.at !== undefined)
    throw new UsageError('Give either --delay or --at.');
  const document = typeof given.input === 'string' ? given.input : undefined;
  const input = await readTaskInput(fields, document, terminal.stdin);
  const options = { ...(await optionsOf(given, terminal.stdin)), signal };
  if (given.dryRun === true) {
    const checked = await client.check(type, input, options);
    if (printer.json) printer.document(checked);
    else
      printer.line(
        `valid: ${type} would wait in the queue ${checked.queue} with the priority ${checked.priority}`,
      );
    return EXIT.ok;
  }
  const receipt = await client.enqueue(type, input, options);
  const { id, queue, replayed, state, durability } = receipt;
  if (given.wait !== undefined) {
    printer.say(id, 'dim');
    const ended = await waitForTask(session, id, given.wait === true ? undefined : given.wait);
    return writeEnd(printer, ended) ? EXIT.ok : EXIT.failed;
  }
  if (printer.json) {
    printer.document(receipt);
    return EXIT.ok;
  }
  printer.line(id);
  const what = replayed
    ? 'It was there already, by its key'
    : `It is ${state ?? 'sent'} in the queue ${queue}`;
  const reached = durability === undefined ? '' : `, durability reached: ${durability}`;
  printer.say(`${what}${reached}. Its result: popfleet task wait ${id}`, 'dim');
  return EXIT.ok;
}

/** The server checks the values, and names the one that is wrong. */
async function optionsOf(given: AddOptions, stdin: Input): Promise<TaskOptions> {
  const { queue, priority, at, expiresAt, maxAttempts, key, durability, tag, webhook, onEnd } = given;
  const follows = onEnd === undefined ? undefined : await readTaskInput([], onEnd, stdin, '--on-end');
  return compact<TaskOptions>({
    queue,
    priority,
    delayMs: given.delay,
    runAt: at,
    ttlMs: given.ttl,
    expiresAt,
    timeoutMs: given.timeout,
    resultTtlMs: given.resultTtl,
    maxAttempts,
    tags: tag,
    webhook: webhook === undefined ? undefined : { url: webhook },
    onEnd: follows as TaskOptions['onEnd'],
    key,
    durability,
  });
}
