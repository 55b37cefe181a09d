// `popfleet worker list`, what one runs, and what a person may want of a live worker. `popfleet worker` alone runs one.

import type { Command } from 'commander';
import type { RunningTask, WorkerView } from '../client/shapes.ts';
import type { Column } from './printer.ts';
import { TASK_COLUMNS } from './task-output.ts';
import type { Terminal } from './terminal.ts';
import { addVerb } from './verb.ts';

const stateOf = ({ state }: WorkerView): string => state;

const COLUMNS: readonly Column<WorkerView>[] = [
  { title: 'WORKER', text: ({ worker }) => worker },
  { title: 'QUEUE', text: ({ queue }) => queue },
  { title: 'HOLDS', text: ({ holds }) => holds },
  {
    title: 'STATE',
    text: stateOf,
    style: (worker) => (stateOf(worker) === 'working' ? undefined : 'yellow'),
  },
  { title: 'CONCURRENCY', text: ({ concurrency }) => concurrency },
  { title: 'VERSION', text: ({ version }) => version },
  { title: 'HOST', text: ({ host }) => host },
  { title: 'PID', text: ({ pid }) => pid },
  { title: 'STARTED', text: ({ startedAt }) => startedAt },
];

/** What is of interest while it runs. */
const RUNNING_COLUMNS: readonly Column<RunningTask>[] = [
  ...TASK_COLUMNS.slice(0, 5),
  { title: 'STARTED', text: ({ startedAt }) => startedAt },
  { title: 'TIME LIMIT', text: ({ timeoutMs }) => timeoutMs && `${timeoutMs / 1_000} s` },
];

const ORDERS = [
  {
    name: 'quiet',
    description: 'Have a worker finish what it holds, and claim nothing more',
    said: (worker: string) => `It goes on with: popfleet worker resume ${worker}`,
  },
  {
    name: 'resume',
    description: 'Have a quiet worker go on',
    said: () => 'It claims tasks again.',
  },
  {
    name: 'stop',
    description: 'Have a worker finish what it holds, and its program end',
    said: () => 'Its program ends once nothing runs, as after a SIGTERM. A supervisor may start it anew.',
  },
] as const;

export function addWorkerVerbs(worker: Command, terminal: Terminal): void {
  const texts = {
    usage: 'list',
    description: 'List live workers, a line for each queue they serve, and say which were lost of late',
    examples: ['popfleet worker list'],
  };
  addVerb(worker, terminal, texts, async ({ client, printer, signal }) => {
    const [items, lost] = await Promise.all([
      client.fleet.workers({ signal }),
      client.fleet.lost({ signal }),
    ]);
    if (printer.json) return printer.document({ items, lost });
    printer.table(COLUMNS, items);
    if (items.length === 0) printer.say('No worker is alive. Start one: popfleet worker', 'yellow');
    for (const { worker: name, queue, leaseUntil, held } of lost) {
      const back = `${held} ${held === 1 ? 'task has' : 'tasks have'} gone back`;
      printer.say(`Lost: ${name}, of the queue ${queue}, at ${leaseUntil}; ${back}.`, 'yellow');
    }
    return undefined;
  });
  addShow(worker, terminal);
  for (const { name, description, said } of ORDERS) {
    const order = {
      usage: `${name} <worker>`,
      description,
      examples: [`popfleet worker ${name} WORKER`],
    };
    addVerb(worker, terminal, order, async ({ client, printer, signal }, [which]) => {
      const items = await client.fleet[name](which as string, { signal });
      if (printer.json) printer.document({ items });
      else printer.table(COLUMNS, items);
      printer.say(said(which as string), 'dim');
    });
  }
}

function addShow(worker: Command, terminal: Terminal): void {
  const texts = {
    usage: 'show <worker>',
    description: 'Show a live worker, and the tasks that it holds',
    examples: ['popfleet worker show WORKER'],
  };
  addVerb(worker, terminal, texts, async ({ client, printer, signal }, [which]) => {
    const shown = await client.fleet.worker(which as string, { signal });
    if (printer.json) {
      printer.document(shown);
      return;
    }
    if (printer.isTerminal) {
      printer.table(COLUMNS, shown.items);
      printer.line('');
    }
    if (shown.running.length > 0) printer.table(RUNNING_COLUMNS, shown.running);
    else printer.say('It holds no task.', 'dim');
  });
}
