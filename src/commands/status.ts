// `popfleet status`: whether the fleet is well, in a sentence, and its queues. With --watch again and again.

import type { Command } from 'commander';
import type { QueueView } from '../client/shapes.ts';
import { delay } from '../lifecycle.ts';
import { EXIT } from './exit-code.ts';
import { exitCodeOf } from './exit-code-of.ts';
import { differenceOf, type Finding, findingsOfQueue, readinessFinding } from './fleet-health.ts';
import type { Style } from './printer.ts';
import { QUEUE_COLUMNS } from './queue.ts';
import type { Terminal } from './terminal.ts';
import { describeVerb, type Session } from './verb.ts';

const TEXTS = {
  usage: 'status',
  description: 'Say whether the fleet is well, and show its queues',
  examples: ['popfleet status', 'popfleet status --watch', 'popfleet status --json'],
};
const LOOK_EVERY_MS = 2_000;
/** Clears the screen, but not what was scrolled out of it. */
const CLEAR = '\u001b[H\u001b[2J';

interface Status {
  readonly health: 'ok' | Finding['level'];
  readonly sentence: string;
  readonly findings: readonly Finding[];
  readonly queues: readonly QueueView[];
}

export function addStatusVerb(status: Command, terminal: Terminal): void {
  describeVerb(status, terminal, TEXTS, async (session, _args, options) => {
    if (options['watch'] === true) return watch(session);
    const seen = await look(session);
    print(session, seen);
    return exitCode(seen);
  }).option('--watch', 'show it again every two seconds, until Ctrl-C');
}

async function look({ client, signal }: Session): Promise<Status> {
  const readiness = await client.fleet.readiness({ signal });
  const notReady = readinessFinding(readiness);
  const queues = notReady ? [] : await client.queues.list({ signal });
  const findings = [...(notReady ? [notReady] : []), ...queues.flatMap(findingsOfQueue)];
  const bad = findings.some(({ level }) => level === 'bad');
  const health = bad ? 'bad' : findings.length > 0 ? 'warn' : 'ok';
  return { health, sentence: sentenceOf(queues, findings), findings, queues };
}

function sentenceOf(queues: readonly QueueView[], findings: readonly Finding[]): string {
  const [first, ...rest] = findings.toSorted((a, b) => rank(a) - rank(b));
  if (first) {
    const more =
      rest.length === 0 ? '' : `, and ${rest.length} more ${rest.length === 1 ? 'thing' : 'things'}`;
    return `${first.level === 'bad' ? 'Not well' : 'Look at this'}: ${first.text}${more}.`;
  }
  const count = (state: string): number => queues.reduce((sum, { counts }) => sum + (counts[state] ?? 0), 0);
  return `All is well. Running: ${count('running')}, ready: ${count('ready')}, scheduled: ${count('scheduled')}.`;
}

function rank({ level }: Finding): number {
  return level === 'bad' ? 0 : 1;
}

function exitCode({ findings, queues }: Status): number {
  if (queues.some((queue) => differenceOf(queue) !== 0)) return EXIT.failed;
  return queues.length === 0 && findings.length > 0 ? EXIT.overLimit : EXIT.ok;
}

function print({ printer }: Session, status: Status): void {
  if (printer.json) printer.document(status);
  else if (!printer.isTerminal) printer.table(QUEUE_COLUMNS, status.queues);
  if (printer.json) return;
  const style = STYLES[status.health];
  if (!printer.isTerminal) return printer.say(status.sentence, style);
  printer.line(status.sentence, style);
  for (const { text, fix } of status.findings) printer.line(`  ${text} → ${fix}`);
  printer.line('');
  printer.table(QUEUE_COLUMNS, status.queues);
}

const STYLES: Readonly<Record<Status['health'], Style>> = { ok: 'green', warn: 'yellow', bad: 'red' };

/** Goes on while the server is away: that is what one watches for. */
async function watch(session: Session): Promise<never> {
  const { printer, terminal, signal } = session;
  for (;;) {
    const seen = await look(session).catch((error: unknown) => ({ error }));
    signal.throwIfAborted();
    if (printer.isTerminal && !printer.json) terminal.stdout.write(CLEAR);
    if ('error' in seen) {
      const message = seen.error instanceof Error ? seen.error.message : String(seen.error);
      if (printer.json)
        printer.item({ health: 'unknown', sentence: message, exitCode: exitCodeOf(seen.error) });
      else printer.say(message, 'red');
    } else if (printer.json) printer.item({ at: new Date().toISOString(), ...seen });
    else print(session, seen);
    await delay(LOOK_EVERY_MS, signal);
    signal.throwIfAborted();
  }
}
