// `popfleet schedule`: makes tasks by the clock.

import type { Command } from 'commander';
import type { ScheduledWorkflow, ScheduleInput, ScheduleView } from '../client/schedule-shapes.ts';
import { compact } from '../protocol/compact.ts';
import { duration, durationText } from './arguments.ts';
import type { Column, Printer } from './printer.ts';
import { readTaskInput } from './task-input.ts';
import type { Terminal } from './terminal.ts';
import { UsageError } from './usage-error.ts';
import { addVerb } from './verb.ts';
import { writeItems } from './write-rows.ts';

const COLUMNS: readonly Column<ScheduleView>[] = [
  { title: 'NAME', text: ({ name }) => name },
  { title: 'QUEUE', text: ({ queue }) => queue },
  { title: 'TYPE', text: ({ type, workflow }) => (workflow ? wordsOf(workflow) : type) },
  { title: 'TIMES', text: timesOf },
  {
    title: 'STATE',
    text: ({ paused, fault }) => (fault === undefined ? (paused ? 'paused' : 'active') : 'fault'),
    style: ({ paused, fault }) => (fault === undefined ? (paused ? 'yellow' : undefined) : 'red'),
  },
  { title: 'NEXT', text: ({ next }) => next[0] },
  { title: 'LAST', text: ({ last }) => last?.due },
];

interface SetOptions {
  readonly cron?: string;
  readonly every?: number;
  readonly timeZone?: string;
  readonly misfire?: 'skip' | 'once';
  readonly queue?: string;
  readonly priority?: 'high' | 'normal' | 'low';
  readonly input?: string | boolean;
  readonly workflow?: string;
  readonly paused?: true;
}

export function addScheduleVerbs(schedule: Command, terminal: Terminal): void {
  const list = {
    usage: 'list',
    description: 'List schedules with their next ticks',
    examples: ['popfleet schedule list', 'popfleet schedule list --queue default'],
  };
  addVerb(schedule, terminal, list, async ({ client, printer, signal }, _args, options) => {
    const { queue } = options as { readonly queue?: string };
    const items = await client.schedules.list({ queue, signal });
    writeItems(printer, COLUMNS, items, 'There are no schedules.');
  }).option('--queue <name>', 'of this queue alone');
  addSet(schedule, terminal);
  const verbs = [
    { name: 'show', description: 'Show a schedule with its next ticks', run: 'get' },
    { name: 'pause', description: 'Make no tasks any more', run: 'pause' },
    { name: 'resume', description: 'Go on with a paused schedule', run: 'resume' },
  ] as const;
  for (const { name, description, run } of verbs) {
    const texts = { usage: `${name} <name>`, description, examples: [`popfleet schedule ${name} morning`] };
    addVerb(schedule, terminal, texts, async ({ client, printer, signal }, [which], options) => {
      const queue = options['queue'] as string | undefined;
      printSchedule(printer, await client.schedules[run](which as string, { queue, signal }));
    }).option('--queue <name>', 'its queue, when several have one of this name');
  }
  const run = {
    usage: 'run <name>',
    description: 'Make a task of a schedule now, or start its workflow, as a tick would',
    examples: ['popfleet schedule run morning'],
  };
  addVerb(schedule, terminal, run, async ({ client, printer, signal }, [which], options) => {
    const queue = options['queue'] as string | undefined;
    const receipt = await client.schedules.run(which as string, { queue, signal });
    if (printer.json) printer.document(receipt);
    else printer.line(receipt.id);
    const noun = receipt.type === undefined ? 'workflow' : 'task';
    printer.say(`Wait for it: popfleet ${noun} wait ${receipt.id}`, 'dim');
  }).option('--queue <name>', 'its queue, when several have one of this name');
  const remove = {
    usage: 'rm <name>',
    description: 'Delete a schedule; tasks that it made stay',
    examples: ['popfleet schedule rm morning'],
  };
  addVerb(schedule, terminal, remove, async ({ client, printer, signal }, [which], options) => {
    await client.schedules.remove(which as string, { queue: options['queue'] as string | undefined, signal });
    if (printer.json) printer.document({ name: which, outcome: 'removed' });
    else printer.line(`${String(which)} is gone`);
  }).option('--queue <name>', 'its queue, when several have one of this name');
}

function addSet(schedule: Command, terminal: Terminal): void {
  const texts = {
    usage: 'set <name> [type] [fields...]',
    description:
      'Create or replace a schedule, of tasks, whose input is made of the fields, or of a workflow. It is written as a whole: one that was paused goes on, and what the API had set beside these options is gone',
    examples: [
      "popfleet schedule set morning add one=1 two=2 --cron '0 6 * * *' --time-zone Europe/Berlin",
      'popfleet schedule set often add one=1 two=2 --every 15m',
      'popfleet schedule set nightly --workflow @workflow.json --cron @daily',
    ],
  };
  addVerb(
    schedule,
    terminal,
    texts,
    async ({ client, printer, terminal: { stdin }, signal }, args, options) => {
      const [name, type, fields] = args as readonly [string, string | undefined, readonly string[]];
      const { cron, every, timeZone, misfire, queue, priority, input, workflow, paused } =
        options as SetOptions;
      if ((type === undefined) === (workflow === undefined))
        throw new UsageError('Name either a task type, or a workflow with --workflow.');
      const document = typeof input === 'string' ? input : undefined;
      const starts =
        workflow === undefined
          ? { type, input: await readTaskInput(fields, document, stdin) }
          : { workflow: (await readTaskInput([], workflow, stdin, '--workflow')) as ScheduledWorkflow };
      const own = compact({ cron, everyMs: every, timeZone, misfire, queue, priority, paused });
      const body: ScheduleInput = { ...starts, ...own };
      printSchedule(printer, await client.schedules.put(name, body, { signal }));
    },
  )
    .option('--cron <pattern>', 'five fields, six with seconds first, or a name such as @daily')
    .option('--every <duration>', 'instead: at every multiple of it since 1970, such as 15m', duration)
    .option('--time-zone <name>', 'in which the pattern is read (UTC)')
    .option('--misfire <word>', 'what becomes of ticks that were missed: skip, or once')
    .option('--queue <name>', 'where its tasks wait')
    .option('--priority <word>', 'of its tasks: high, normal or low')
    .option('--paused', 'it makes nothing until it is resumed; without this a paused one goes on')
    .option('--input <json>', 'the whole input: JSON, @file, or - for stdin')
    .option('--workflow <json>', 'a workflow that it starts, instead of a type: JSON, @file, or - for stdin');
}

function printSchedule(printer: Printer, view: ScheduleView): void {
  if (printer.json) {
    printer.document(view);
    return;
  }
  printer.table(COLUMNS, [view]);
  if (view.fault !== undefined) printer.say(`It cannot be read: ${view.fault}`, 'red');
  if (printer.isTerminal && view.next.length > 0) printer.say(`next: ${view.next.join('  ')}`, 'dim');
}

function wordsOf({ name, tasks }: ScheduledWorkflow): string {
  const steps = Object.keys(tasks).length;
  return name ?? `a workflow of ${steps} step${steps === 1 ? '' : 's'}`;
}

function timesOf({ cron, everyMs, timeZone }: ScheduleView): string {
  if (everyMs !== undefined) return `every ${durationText(everyMs)}`;
  return [cron, timeZone].filter((part) => part !== undefined).join(' ');
}
