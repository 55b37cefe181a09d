// `popfleet task list`: tasks of a queue by conditions that hold together.

import type { Command } from 'commander';
import type { ListOptions } from '../client/list-tasks.ts';
import { TASK_STATES } from '../protocol/task-state.ts';
import { moment, wholeNumber } from './arguments.ts';
import { MOST_ROWS, ROWS_SHOWN, writeRows } from './write-rows.ts';
import { TASK_COLUMNS } from './task-output.ts';
import type { Terminal } from './terminal.ts';
import { addVerb } from './verb.ts';

/** As the API has them, too. */
const CONDITIONS = ['queue', 'state', 'type', 'tag', 'field', 'error', 'fingerprint'] as const;

export function addTaskList(task: Command, terminal: Terminal): void {
  const texts = {
    usage: 'list',
    description:
      'List tasks of a queue, newest first; a long list comes in parts that are so, unless it is one of dead tasks or of a tag or the like; scheduled ones come by their due time',
    examples: [
      'popfleet task list',
      'popfleet task list --state dead --type add --limit 20 --json',
      'popfleet task list --tag eu --since 1h',
    ],
  };
  addVerb(task, terminal, texts, async ({ client, printer, signal }, _args, options) => {
    const limit = (options['limit'] as number | undefined) ?? ROWS_SHOWN;
    const rows = client.list({ ...conditionsOf(options), signal });
    await writeRows(printer, TASK_COLUMNS, rows, { limit, none: 'There are no such tasks.' });
  })
    .option('--queue <name>', 'its queue (default)')
    .option('--state <word>', `one of ${TASK_STATES.join(', ')}`)
    .option('--type <type>', 'only of this type')
    .option('--tag <tag>', 'only with this tag')
    .option('--field <name:value>', 'only with this value of a field of its definition')
    .option('--error <name>', 'only dead ones with an error of this name')
    .option('--fingerprint <fingerprint>', 'only dead ones of this cause')
    .option('--since <time>', 'accepted then or later: 1h, 2d, or a date', moment)
    .option('--until <time>', 'accepted before: 1h, 2d, or a date', moment)
    .option('--limit <count>', `at most so many (${ROWS_SHOWN})`, wholeNumber(1, MOST_ROWS));
}

function conditionsOf(options: Readonly<Record<string, unknown>>): ListOptions {
  const given = Object.fromEntries(CONDITIONS.map((name) => [name, options[name] as string | undefined]));
  const { since, until } = options as { readonly since?: string; readonly until?: string };
  return { ...given, acceptedAfter: since, acceptedBefore: until };
}
