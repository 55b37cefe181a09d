// `popfleet worker list`: the live workers. `popfleet worker` alone runs one.

import type { Command } from 'commander';
import type { WorkerView } from '../client/shapes.ts';
import type { Column } from './printer.ts';
import type { Terminal } from './terminal.ts';
import { addVerb } from './verb.ts';

const COLUMNS: readonly Column<WorkerView>[] = [
  { title: 'WORKER', text: ({ worker }) => worker },
  { title: 'QUEUE', text: ({ queue }) => queue },
  { title: 'HOLDS', text: ({ holds }) => holds },
  { title: 'CONCURRENCY', text: ({ concurrency }) => concurrency },
  { title: 'VERSION', text: ({ version }) => version },
  { title: 'HOST', text: ({ host }) => host },
  { title: 'PID', text: ({ pid }) => pid },
  { title: 'STARTED', text: ({ startedAt }) => startedAt },
];

export function addWorkerVerbs(worker: Command, terminal: Terminal): void {
  const texts = {
    usage: 'list',
    description: 'List live workers, a line for each queue they serve',
    examples: ['popfleet worker list'],
  };
  addVerb(worker, terminal, texts, async ({ client, printer, signal }) => {
    const items = await client.fleet.workers(signal);
    if (printer.json) printer.document({ items });
    else printer.table(COLUMNS, items);
    if (!printer.json && items.length === 0) {
      printer.say('No worker is alive. Start one: popfleet worker', 'yellow');
    }
  });
}
