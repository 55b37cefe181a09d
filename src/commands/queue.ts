// `popfleet queue`: numbers of queues, pause and resume, and removing their tasks.

import { type Command, Option } from 'commander';
import type { QueueView } from '../client/shapes.ts';
import { TASK_STATES, type TaskState } from '../protocol/task-state.ts';
import { operate } from './operate.ts';
import type { Column } from './printer.ts';
import type { Terminal } from './terminal.ts';
import { UsageError } from './usage-error.ts';
import { addVerb, type Session } from './verb.ts';

const count =
  (name: string) =>
  ({ counts }: QueueView): number =>
    counts[name] ?? 0;

/** Of the table that `status` shows as well. */
export const QUEUE_COLUMNS: readonly Column<QueueView>[] = [
  { title: 'QUEUE', text: ({ queue }) => queue },
  {
    title: 'STATE',
    text: ({ paused }) => (paused ? 'paused' : 'open'),
    style: ({ paused }) => (paused ? 'yellow' : undefined),
  },
  { title: 'READY', text: count('ready') },
  { title: 'RUNNING', text: count('running') },
  { title: 'SCHEDULED', text: count('scheduled') },
  { title: 'WAITING', text: count('waiting') },
  { title: 'SUCCEEDED', text: count('succeeded') },
  { title: 'CANCELLED', text: count('cancelled') },
  { title: 'DEAD', text: count('dead'), style: (queue) => (count('dead')(queue) > 0 ? 'red' : undefined) },
  { title: 'WORKERS', text: ({ workers }) => workers },
  { title: 'WHY PAUSED', text: ({ pausedReason }) => pausedReason },
];

export function addQueueVerbs(queue: Command, terminal: Terminal): void {
  const list = { usage: 'list', description: 'List all queues', examples: ['popfleet queue list'] };
  addVerb(queue, terminal, list, async ({ client, printer, signal }) => {
    const items = await client.queues.list({ signal });
    if (printer.json) printer.document({ items });
    else printer.table(QUEUE_COLUMNS, items);
  });
  const verbs = [
    { name: 'show', description: 'Show the numbers of a queue', run: 'get' },
    { name: 'resume', description: 'Go on with a paused queue', run: 'resume' },
  ] as const;
  for (const { name, description, run } of verbs) {
    const texts = { usage: `${name} <queue>`, description, examples: [`popfleet queue ${name} default`] };
    addVerb(queue, terminal, texts, async ({ client, printer, signal }, [which]) => {
      printQueue(printer, await client.queues[run](which as string, { signal }));
    });
  }
  addPause(queue, terminal);
  addPurge(queue, terminal);
}

function addPause(queue: Command, terminal: Terminal): void {
  const texts = {
    usage: 'pause <queue>',
    description: 'Start nothing of a queue any more; running tasks finish',
    examples: ['popfleet queue pause default', "popfleet queue pause default --reason 'the database moves'"],
  };
  addVerb(queue, terminal, texts, async ({ client, printer, signal }, [which], options) => {
    const { reason } = options as { readonly reason?: string };
    const view = await client.queues.pause(which as string, { reason, signal });
    printQueue(printer, view);
    printer.say(`Go on with: popfleet queue resume ${view.queue}`, 'dim');
  }).option('--reason <text>', 'why: it is shown wherever the queue is');
}

function addPurge(queue: Command, terminal: Terminal): void {
  const texts = {
    usage: 'purge <queue>',
    description: 'Remove all tasks of a queue but those that run',
    examples: [
      'popfleet queue purge default --dry-run',
      'popfleet queue purge default --state succeeded --confirm default',
    ],
  };
  addVerb(queue, terminal, texts, async (session, [which], options) => {
    const name = which as string;
    const { state, dryRun = false, confirm } = options as PurgeOptions;
    if (!dryRun && confirm !== name) {
      throw new UsageError(
        `What is removed is gone. Give --confirm ${name} if that is meant, or --dry-run to see it.`,
      );
    }
    const filter = state === undefined ? { queue: name } : { queue: name, state };
    return operate(session, { action: 'delete', filter }, { dryRun }, true);
  })
    .addOption(new Option('--state <word>', 'only those in this state').choices(TASK_STATES))
    .option('--confirm <queue>', 'the name of the queue once more')
    .option('--dry-run', 'only say how many there are');
}

interface PurgeOptions {
  readonly state?: TaskState;
  readonly dryRun?: boolean;
  readonly confirm?: string;
}

function printQueue(printer: Session['printer'], view: QueueView): void {
  if (printer.json) printer.document(view);
  else printer.table(QUEUE_COLUMNS, [view]);
}
