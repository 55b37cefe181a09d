// `popfleet dead`: dead letters by their cause, and what is done about all of one cause at once.

import type { Command } from 'commander';
import { ApiError } from '../client/api-error.ts';
import type { ErrorGroupView, OperationRequest } from '../client/shapes.ts';
import { comingMoment, moment, wholeNumber } from './arguments.ts';
import { deadQueuesOf, queueOf, queuesOf } from './dead-queues.ts';
import { operate } from './operate.ts';
import type { Column } from './printer.ts';
import type { Terminal } from './terminal.ts';
import { addVerb, type Session } from './verb.ts';
import { firstOf, MOST_ROWS, ROWS_SHOWN, sayMore } from './write-rows.ts';

const COLUMNS: readonly Column<ErrorGroupView>[] = [
  { title: 'FINGERPRINT', text: ({ fingerprint }) => fingerprint },
  { title: 'QUEUE', text: ({ queue }) => queue },
  { title: 'TYPE', text: ({ type }) => type },
  { title: 'DEAD', text: ({ dead }) => dead, style: ({ dead }) => (dead > 0 ? 'red' : 'dim') },
  { title: 'TOTAL', text: ({ total }) => total },
  { title: 'ATTEMPTS', text: ({ attempts }) => (attempts ? fromTo(attempts) : '') },
  { title: 'LAST SEEN', text: ({ lastSeenAt }) => lastSeenAt },
  { title: 'ERROR', text: ({ name, message }) => `${name}: ${message}` },
];
const IGNORED_COLUMNS: readonly Column<ErrorGroupView>[] = [
  ...COLUMNS.slice(0, -1),
  { title: 'IGNORED UNTIL', text: untilOf },
  ...COLUMNS.slice(-1),
];
/** The server takes no larger number. */
const MOST_DEATHS = 1_000_000_000;
/** The server watches no more at the same time. */
const MOST_CANARIES = 1_000;

export function addDeadVerbs(dead: Command, terminal: Terminal): void {
  addList(dead, terminal);
  addShow(dead, terminal);
  addReplay(dead, terminal);
  addRemove(dead, terminal);
  addExport(dead, terminal);
  addIgnore(dead, terminal);
  addHeed(dead, terminal);
}

function addList(dead: Command, terminal: Terminal): void {
  const texts = {
    usage: 'list',
    description: 'List the causes of dead tasks, the one that was seen last comes first',
    examples: [
      'popfleet dead list',
      'popfleet dead list --queue default --since 1h',
      'popfleet dead list --new',
    ],
  };
  addVerb(dead, terminal, texts, async ({ client, printer, signal }, _args, options) => {
    const {
      queue,
      type,
      since,
      all,
      ignored: wantsIgnored = false,
      new: isNew,
      limit = ROWS_SHOWN,
    } = options as {
      readonly queue?: string;
      readonly type?: string;
      readonly since?: string;
      readonly all?: boolean;
      readonly ignored?: boolean;
      readonly new?: boolean;
      readonly limit?: number;
    };
    let passed = 0;
    const shown = async function* (): AsyncGenerator<ErrorGroupView, void, void> {
      for await (const group of client.deadLetters.list({ queue, type, since, new: isNew, signal })) {
        if (group.dead === 0 && all !== true) continue;
        // A server of a release before knows no such query.
        if ((group.ignored !== undefined) === wantsIgnored) yield group;
        else passed += 1;
      }
    };
    const { items, hasMore } = await firstOf(shown(), limit);
    if (printer.json) printer.document({ items });
    else printer.table(wantsIgnored ? IGNORED_COLUMNS : COLUMNS, items);
    if (hasMore) sayMore(printer, limit);
    if (printer.json) return;
    if (items.length === 0) printer.say(wantsIgnored ? 'Nothing is ignored.' : 'Nothing is dead.', 'green');
    if (passed > 0 && !wantsIgnored)
      printer.say('What is ignored stands apart: popfleet dead list --ignored', 'dim');
  })
    .option('--queue <name>', 'of this queue alone')
    .option('--type <type>', 'of this type alone')
    .option('--since <time>', 'last seen then or later: 1h, 2d, or a date', moment)
    .option('--ignored', 'those that are ignored, and no others')
    .option('--new', 'first seen since the workers of now started')
    .option('--all', 'also those of which no task is dead any more')
    .option('--limit <count>', `at most so many (${ROWS_SHOWN})`, wholeNumber(1, MOST_ROWS));
}

function addShow(dead: Command, terminal: Terminal): void {
  const texts = {
    usage: 'show <fingerprint>',
    description: 'Show one cause: its numbers in each queue, and the error of its newest task',
    examples: ['popfleet dead show FINGERPRINT'],
  };
  addVerb(dead, terminal, texts, async (session, [given]) => {
    const { client, printer, signal } = session;
    const fingerprint = given as string;
    const items = await client.deadLetters.get(fingerprint, { signal });
    const sample = await sampleOf(session, items);
    if (printer.json) {
      printer.document({ fingerprint, items, sample });
      return;
    }
    printer.table(COLUMNS, items);
    if (!printer.isTerminal || sample?.error === undefined) return;
    const { name, message, stack = `${name}: ${message}` } = sample.error;
    printer.line('');
    const versions = [...new Set(items.flatMap((item) => item.versions))];
    if (versions.length > 0) printer.line(`versions affected: ${versions.join(', ')}`);
    printer.line(sample.id, 'bold');
    for (const line of stack.split('\n')) printer.line(line);
    const [queue, ...others] = deadQueuesOf(items);
    const where = others.length > 0 ? ` --queue ${queue}` : '';
    printer.say(`Try some of them again: popfleet dead replay ${fingerprint}${where} --canary 10`, 'dim');
  });
}

/** Its newest task; `undefined` when that is gone. */
async function sampleOf({ client, signal }: Session, groups: readonly ErrorGroupView[]) {
  const [first] = groups.toSorted((one, other) => (one.lastSeenAt < other.lastSeenAt ? 1 : -1));
  if (!first) return undefined;
  return ifThere(client.get(first.sample, { signal }));
}

/** `undefined` when it has gone meanwhile. */
async function ifThere<Found>(found: Promise<Found>): Promise<Found | undefined> {
  try {
    return await found;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return undefined;
    throw error;
  }
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
    .option('--queue <name>', 'their queue, when several have this cause')
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
    .option('--queue <name>', 'their queue, when several have this cause')
    .option('--dry-run', 'only say how many there are')
    .option('--no-wait', 'do not wait until it is done');
}

/** An operation is for one queue. @throws as `queueOf` */
async function operateOnDead(
  session: Session,
  fingerprint: string,
  options: Readonly<Record<string, unknown>>,
  request: Omit<OperationRequest, 'filter'>,
): Promise<number> {
  const named = options['queue'] as string | undefined;
  const queue = await queueOf(session, fingerprint, named);
  const filter = { queue, fingerprint, state: 'dead' } as const;
  return operate(session, { ...request, filter }, options);
}

function addExport(dead: Command, terminal: Terminal): void {
  const texts = {
    usage: 'export [fingerprint]',
    description: 'Write dead tasks with their input and errors, as a JSON document a line',
    examples: ['popfleet dead export FINGERPRINT', 'popfleet dead export --queue default > dead.ndjson'],
  };
  addVerb(dead, terminal, texts, async (session, [given], options) => {
    const { client, printer, signal } = session;
    const fingerprint = given as string | undefined;
    const named = options['queue'] as string | undefined;
    const queues = fingerprint === undefined ? [named] : await queuesOf(session, fingerprint, named);
    for (const queue of queues) {
      for await (const { id } of client.list({ queue, state: 'dead', fingerprint, signal })) {
        const task = await ifThere(client.get(id, { signal }));
        if (task !== undefined) printer.item(task);
      }
    }
  }).option('--queue <name>', 'their queue; unless given all that have the cause, or default for all causes');
}

function fromTo({ least, most }: NonNullable<ErrorGroupView['attempts']>): string {
  return least === most ? String(least) : `${least}-${most}`;
}

/** What ends it, in words; `''`: it is not ignored. */
function untilOf({ ignored }: ErrorGroupView): string {
  if (ignored === undefined) return '';
  const { until, untilTotal } = ignored;
  const ends = [until ?? [], untilTotal === undefined ? [] : `more than ${untilTotal} in all`].flat();
  return ends.join(' or ') || 'heeded';
}

function addIgnore(dead: Command, terminal: Terminal): void {
  const texts = {
    usage: 'ignore <fingerprint>',
    description: 'Have nobody warned of one cause, until a time or until more tasks have died of it',
    examples: [
      'popfleet dead ignore FINGERPRINT --until 7d',
      'popfleet dead ignore FINGERPRINT --more-than 100',
    ],
  };
  addVerb(dead, terminal, texts, async ({ client, printer, signal }, [given], options) => {
    const { queue, until, moreThan } = options as {
      readonly queue?: string;
      readonly until?: string;
      readonly moreThan?: number;
    };
    const fingerprint = given as string;
    const items = await client.deadLetters.ignore(fingerprint, {
      queue,
      until,
      moreDeaths: moreThan,
      signal,
    });
    if (printer.json) printer.document({ fingerprint, items });
    else printer.table(IGNORED_COLUMNS, items);
    if (!printer.json) printer.say(`End it sooner: popfleet dead heed ${fingerprint}`, 'dim');
  })
    .option('--until <time>', 'ends it: 8h, 7d, or a date', comingMoment)
    .option('--more-than <count>', 'so many more deaths do not end it yet', wholeNumber(0, MOST_DEATHS))
    .option('--queue <name>', 'in this queue alone');
}

function addHeed(dead: Command, terminal: Terminal): void {
  const texts = {
    usage: 'heed <fingerprint>',
    description: 'Have people warned of one cause again',
    examples: ['popfleet dead heed FINGERPRINT'],
  };
  addVerb(dead, terminal, texts, async ({ client, printer, signal }, [given], options) => {
    const { queue } = options as { readonly queue?: string };
    const fingerprint = given as string;
    const items = await client.deadLetters.heed(fingerprint, { queue, signal });
    if (printer.json) printer.document({ fingerprint, items });
    else printer.table(COLUMNS, items);
  }).option('--queue <name>', 'in this queue alone');
}
