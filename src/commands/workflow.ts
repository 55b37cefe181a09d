// `popfleet workflow`: tasks that need each other, sent and looked at as one.

import type { Command } from 'commander';
import type { WorkflowRow, WorkflowStep, WorkflowView } from '../client/workflow-shapes.ts';
import type { WorkflowRequest } from '../client/workflows.ts';
import { duration, wholeNumber } from './arguments.ts';
import { EXIT } from './exit-code.ts';
import type { Column, Printer } from './printer.ts';
import { MOST_ROWS, ROWS_SHOWN, writeRows } from './write-rows.ts';
import { styleOfState } from './task-output.ts';
import { readTaskInput } from './task-input.ts';
import type { Terminal } from './terminal.ts';
import { UsageError } from './usage-error.ts';
import { addVerb, type Session } from './verb.ts';

const COLUMNS: readonly Column<WorkflowRow>[] = [
  { title: 'ID', text: ({ id }) => id },
  { title: 'STATE', text: stateOf, style: ({ state }) => styleOfState(state) },
  { title: 'NAME', text: ({ name }) => name },
  { title: 'QUEUE', text: ({ queue }) => queue },
  { title: 'STEPS', text: ({ counts }) => `${counts.ended}/${counts.total}` },
  { title: 'DEAD', text: ({ counts }) => counts.dead },
  { title: 'TRY', text: ({ generation }) => generation },
  { title: 'ACCEPTED', text: ({ acceptedAt }) => acceptedAt },
];

const STEP_COLUMNS: readonly Column<WorkflowStep>[] = [
  { title: 'STEP', text: ({ step }) => step },
  { title: 'STATE', text: ({ state }) => state, style: ({ state }) => styleOfState(state) },
  { title: 'NEEDS', text: ({ needs }) => needs.join(' ') },
  { title: 'TYPE', text: ({ type }) => type },
  { title: 'QUEUE', text: ({ queue }) => queue },
  { title: 'TASK', text: ({ task }) => task },
  { title: 'ERROR', text: ({ error }) => error && `${error.name}: ${error.message}` },
];

export function addWorkflowVerbs(workflow: Command, terminal: Terminal): void {
  addStart(workflow, terminal);
  addList(workflow, terminal);
  const show = {
    usage: 'show <id>',
    description: 'Show a workflow and its steps',
    examples: ['popfleet workflow show WORKFLOW', 'popfleet workflow show WORKFLOW --json'],
  };
  addVerb(workflow, terminal, show, async ({ client, printer, signal }, [id]) => {
    print(printer, await client.workflows.get(id as string, { signal }));
  });
  const wait = {
    usage: 'wait <id>',
    description: 'Wait until a workflow has ended; ends with 1 unless it has succeeded',
    examples: ['popfleet workflow wait WORKFLOW --timeout 30s'],
  };
  addVerb(workflow, terminal, wait, (session, [id], options) =>
    waitFor(session, id as string, options['timeout'] as number | undefined),
  ).option('--timeout <duration>', 'how long to wait, such as 30s; it goes on after that', duration);
  const cancel = {
    usage: 'cancel <id>',
    description: 'Cancel all steps of a workflow that have not ended',
    examples: ['popfleet workflow cancel WORKFLOW'],
  };
  addVerb(workflow, terminal, cancel, async ({ client, printer, signal }, [id]) =>
    print(printer, await client.workflows.cancel(id as string, { signal })),
  );
  const retry = {
    usage: 'retry <id>',
    description: 'Run the steps of a workflow again that have not succeeded',
    examples: ['popfleet workflow retry WORKFLOW'],
  };
  addVerb(workflow, terminal, retry, async ({ client, printer, signal }, [id]) => {
    print(printer, await client.workflows.retry(id as string, { signal }));
    printer.say(`Wait for it: popfleet workflow wait ${String(id)}`, 'dim');
  });
}

function addStart(workflow: Command, terminal: Terminal): void {
  const texts = {
    usage: 'start <document>',
    description: 'Send a workflow: JSON as the API takes it, @file, or - for stdin',
    examples: [
      'popfleet workflow start @workflow.json',
      'popfleet workflow start @workflow.json --key order-4711 --wait=30s',
    ],
  };
  addVerb(workflow, terminal, texts, async (session, [document], options) => {
    const { client, printer, signal } = session;
    const given = await readTaskInput([], document as string, session.terminal.stdin, '<document>');
    if (typeof given !== 'object' || given === null || Array.isArray(given))
      throw new UsageError('The workflow must be a JSON object with "tasks".');
    const { name, key, wait } = options as {
      readonly name?: string;
      readonly key?: string;
      readonly wait?: number | true;
    };
    const more = { ...(name === undefined ? {} : { name }), ...(key === undefined ? {} : { key }) };
    const started = await client.workflows.start({ ...given, ...more } as WorkflowRequest, { signal });
    if (wait !== undefined) return waitFor(session, started.id, wait === true ? undefined : wait);
    if (printer.json) printer.document(started);
    else printer.line(started.id);
    printer.say(`Wait for it: popfleet workflow wait ${started.id}`, 'dim');
    return undefined;
  })
    .option('--name <text>', 'its name, instead of that of the document')
    .option('--key <text>', 'sent again with the same key, it is the same workflow')
    .option('--wait [duration]', 'wait until it has ended, such as --wait=30s', duration);
}

function addList(workflow: Command, terminal: Terminal): void {
  const texts = {
    usage: 'list',
    description: 'List workflows, newest first',
    examples: ['popfleet workflow list', 'popfleet workflow list --state dead --name order --limit 20'],
  };
  addVerb(workflow, terminal, texts, async ({ client, printer, signal }, _args, options) => {
    const {
      state,
      name,
      limit = ROWS_SHOWN,
    } = options as {
      readonly state?: WorkflowRow['state'];
      readonly name?: string;
      readonly limit?: number;
    };
    const rows = client.workflows.list({ state, name, signal });
    await writeRows(printer, COLUMNS, rows, { limit, none: 'There are no such workflows.' });
  })
    .option('--state <state>', 'accepting, running, succeeded, dead or cancelled')
    .option('--name <text>', 'whose name begins so')
    .option('--limit <number>', `how many at most (${ROWS_SHOWN})`, wholeNumber(1, MOST_ROWS));
}

/** @throws WaitTimeout */
async function waitFor(
  { client, printer, signal }: Session,
  id: string,
  timeoutMs: number | undefined,
): Promise<number> {
  const ended = await client.workflows.wait(id, { timeoutMs, signal });
  print(printer, ended);
  if (ended.state === 'succeeded') return EXIT.ok;
  printer.say(`The workflow ${id} is ${ended.state}.`, styleOfState(ended.state));
  printer.say(`Run what failed again: popfleet workflow retry ${id}`);
  return EXIT.failed;
}

function print(printer: Printer, view: WorkflowView): void {
  if (printer.json) {
    printer.document(view);
    return;
  }
  if (printer.isTerminal) {
    printer.table(COLUMNS, [view]);
    printer.line('');
  }
  printer.table(STEP_COLUMNS, view.steps);
}

function stateOf({ state, cancelling }: WorkflowRow): string {
  return state === 'running' && cancelling === true ? 'cancelling' : state;
}
