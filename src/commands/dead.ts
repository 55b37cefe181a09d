// `popfleet dead`: dead letters by their cause, and what is done about all of one cause at once.

import type { Command } from 'commander';
import type { OperationRequest } from '../client/shapes.ts';
import { DEFAULT_QUEUE } from '../protocol/names.ts';
import { wholeNumber } from './arguments.ts';
import { operate } from './operate.ts';
import type { Terminal } from './terminal.ts';
import { addVerb, type Session } from './verb.ts';

/** The server watches no more at the same time. */
const MOST_CANARIES = 1_000;

export function addDeadVerbs(dead: Command, terminal: Terminal): void {
  addReplay(dead, terminal);
  addRemove(dead, terminal);
  addExport(dead, terminal);
}

function addReplay(dead: Command, terminal: Terminal): void {
  const texts = {
    usage: 'replay <fingerprint>',
    description:
      'Run all dead tasks of one cause again; with --canary some of them first, watching how they end',
    examples: [
      'popfleet dead replay FINGERPRINT --canary 10',
      'popfleet dead replay FINGERPRINT --canary 10 --then-rest --yes',
      'popfleet dead replay FINGERPRINT --dry-run',
    ],
  };
  addVerb(dead, terminal, texts, async (session, [fingerprint], options) => {
    const {
      canary,
      stopAfter = 1,
      thenRest,
      reason,
    } = options as {
      readonly canary?: number;
      readonly stopAfter?: number;
      readonly thenRest?: boolean;
      readonly reason?: string;
    };
    return operateOnDead(session, fingerprint as string, options, {
      action: 'retry',
      ...(canary === undefined ? {} : { first: canary, stopAfterErrors: stopAfter }),
      ...(canary !== undefined && thenRest === true ? { thenRest } : {}),
      ...(reason === undefined ? {} : { reason }),
    });
  })
    .option('--canary <count>', 'only so many, and watch them', wholeNumber(1, MOST_CANARIES))
    .option(
      '--stop-after <count>',
      'stop when so many of them are dead again (1)',
      wholeNumber(1, MOST_CANARIES),
    )
    .option('--then-rest', 'go on with all others when the canaries have ended well')
    .option('--queue <name>', 'their queue (default)')
    .option('--reason <text>', 'is kept with the operation')
    .option('--dry-run', 'only say how many there are')
    .option('--no-wait', 'do not wait until it is done');
}

function addRemove(dead: Command, terminal: Terminal): void {
  const texts = {
    usage: 'rm <fingerprint>',
    description: 'Remove all dead tasks of one cause',
    examples: ['popfleet dead rm FINGERPRINT --yes'],
  };
  addVerb(dead, terminal, texts, async (session, [fingerprint], options) =>
    operateOnDead(session, fingerprint as string, options, { action: 'delete' }),
  )
    .option('--queue <name>', 'their queue (default)')
    .option('--dry-run', 'only say how many there are')
    .option('--no-wait', 'do not wait until it is done');
}

/** An operation is for one queue. */
function operateOnDead(
  session: Session,
  fingerprint: string,
  options: Readonly<Record<string, unknown>>,
  request: Omit<OperationRequest, 'filter'>,
): Promise<number> {
  const queue = (options['queue'] as string | undefined) ?? DEFAULT_QUEUE;
  const filter = { queue, fingerprint, state: 'dead' } as const;
  return operate(session, { ...request, filter }, options);
}

function addExport(dead: Command, terminal: Terminal): void {
  const texts = {
    usage: 'export [fingerprint]',
    description: 'Write dead tasks with their input and errors, as a JSON document a line',
    examples: ['popfleet dead export --queue default > dead.ndjson'],
  };
  addVerb(dead, terminal, texts, async ({ client, printer, signal }, [fingerprint], options) => {
    const queue = options['queue'] as string | undefined;
    for await (const { id, error } of client.list({ queue, state: 'dead', signal })) {
      if (fingerprint !== undefined && error?.fingerprint !== fingerprint) continue;
      printer.item(await client.get(id, { signal }));
    }
  }).option('--queue <name>', 'its queue (default)');
}
