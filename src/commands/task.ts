// `popfleet task`: sends tasks, looks at them, and changes them.

import type { Command } from 'commander';
import type { TaskEvent, TaskView } from '../client/shapes.ts';
import { duration } from './arguments.ts';
import { EXIT } from './exit-code.ts';
import { addTaskAdd } from './task-add.ts';
import { addTaskList } from './task-list.ts';
import { addTaskImport } from './task-import.ts';
import { styleOfState, writeEnd, writeTask } from './task-output.ts';
import { readTaskInput } from './task-input.ts';
import type { Terminal } from './terminal.ts';
import { addVerb, type Session } from './verb.ts';
import { waitForTask } from './wait-for-task.ts';

export function addTaskVerbs(task: Command, terminal: Terminal): void {
  addTaskAdd(task, terminal);
  addGet(task, terminal);
  addWait(task, terminal);
  addEvents(task, terminal);
  addLogs(task, terminal);
  addExplain(task, terminal);
  addChanges(task, terminal);
  addRetry(task, terminal);
  addCompleteToken(task, terminal);
  addTaskList(task, terminal);
  addTaskImport(task, terminal);
}

function addGet(task: Command, terminal: Terminal): void {
  const texts = { usage: 'get <id...>', description: 'Show tasks', examples: ['popfleet task get ID'] };
  addVerb(task, terminal, texts, async ({ client, printer, signal }, [ids]) => {
    const tasks: TaskView[] = [];
    for (const id of ids as readonly string[]) tasks.push(await client.get(id, { signal }));
    if (printer.json) printer.document(tasks.length === 1 ? tasks[0] : { items: tasks });
    else for (const one of tasks) writeTask(printer, one);
  });
}

function addWait(task: Command, terminal: Terminal): void {
  const texts = {
    usage: 'wait <id...>',
    description: 'Wait until tasks have ended, and write their results',
    examples: ['popfleet task wait ID', 'popfleet task wait ID --timeout 30s'],
  };
  addVerb(task, terminal, texts, async (session, [ids], options) => {
    let hasFailed = false;
    for (const id of ids as readonly string[]) {
      const ended = await waitForTask(session, id, options['timeout'] as number | undefined);
      if (!writeEnd(session.printer, ended)) hasFailed = true;
    }
    return hasFailed ? EXIT.failed : EXIT.ok;
  }).option('--timeout <duration>', 'at most so long for each, such as 30s', duration);
}

function addEvents(task: Command, terminal: Terminal): void {
  const texts = {
    usage: 'events <id>',
    description: 'Show what happens to a task until it has ended',
    examples: ['popfleet task events ID', 'popfleet task events ID --json'],
  };
  addVerb(task, terminal, texts, async ({ client, printer, signal }, [id]) => {
    for await (const event of client.events(id as string, { signal })) {
      if (printer.json) printer.item({ event: event.name, ...event.data });
      else printEvent(printer, event);
    }
  });
}

function printEvent(printer: Session['printer'], { name, data }: TaskEvent): void {
  if (name === 'progress') {
    const { percent, note } = data.progress;
    printer.line(`progress ${percent}%${note === undefined ? '' : ` ${note}`}`);
  } else if (name === 'state') {
    printer.line(`${data.state} ${data.at}`, styleOfState(data.state));
  } else if (name === 'reset') {
    printer.line('some events are missing');
  } else {
    printer.line(`${name === 'end' ? 'end:' : 'now:'} ${data.state}`, styleOfState(data.state));
  }
}

function addLogs(task: Command, terminal: Terminal): void {
  const texts = {
    usage: 'logs <id>',
    description: 'Show the lines that the handler of a task has logged',
    examples: ['popfleet task logs ID'],
  };
  addVerb(task, terminal, texts, async ({ client, printer, signal }, [id]) => {
    const lines = await client.log(id as string, { signal });
    if (printer.json) printer.document({ id, lines });
    else for (const line of lines) printer.line(line);
    if (!printer.json && lines.length === 0) printer.say('It has logged nothing.', 'dim');
  });
}

function addExplain(task: Command, terminal: Terminal): void {
  const texts = {
    usage: 'explain <id>',
    description: 'Say why a task does not run yet, and what to do about it',
    examples: ['popfleet task explain ID'],
  };
  addVerb(task, terminal, texts, async ({ client, printer, signal }, [id]) => {
    const explanation = await client.explain(id as string, { signal });
    if (printer.json) return printer.document(explanation);
    for (const { message, fix, blocking } of explanation.reasons) {
      printer.line(message, blocking ? 'yellow' : 'green');
      if (fix !== undefined) printer.line(`  → ${fix}`);
    }
    return undefined;
  });
}

function addChanges(task: Command, terminal: Terminal): void {
  const changes = [
    {
      name: 'cancel',
      description: 'Cancel tasks; one that runs is asked to stop',
      change: async ({ client, signal }: Session, id: string) => {
        const { state } = await client.cancel(id, { signal });
        return state === 'cancelled' ? 'cancelled' : 'asked to stop';
      },
    },
    {
      name: 'rm',
      description: 'Remove tasks with all that is kept of them',
      change: async ({ client, signal }: Session, id: string) => {
        await client.remove(id, { signal });
        return 'removed';
      },
    },
  ];
  for (const { name, description, change } of changes) {
    const texts = { usage: `${name} <id...>`, description, examples: [`popfleet task ${name} ID`] };
    addVerb(task, terminal, texts, async (session, [ids]) =>
      changeEach(session, ids as readonly string[], (id) => change(session, id)),
    );
  }
}

function addRetry(task: Command, terminal: Terminal): void {
  const texts = {
    usage: 'retry <id...>',
    description: 'Run dead tasks again, with a fresh budget of attempts',
    examples: [
      'popfleet task retry ID',
      `popfleet task retry ID --input '{"how":"not"}'`,
      'popfleet task retry ID --from-start',
    ],
  };
  addVerb(task, terminal, texts, async (session, [ids], options) => {
    const { client, signal } = session;
    const { input: document, fromStart } = options as {
      readonly input?: string | boolean;
      readonly fromStart?: true;
    };
    // `--no-input` of all commands has the same name.
    const isNew = typeof document === 'string';
    const input = isNew ? await readTaskInput([], document, session.terminal.stdin) : undefined;
    const how = { ...(isNew && { input }), ...(fromStart && { fromStart }), signal };
    await changeEach(session, ids as readonly string[], async (id) => (await client.retry(id, how)).state);
  })
    .option('--input <json>', 'another input from now on: JSON, @file, or - for stdin')
    .option('--from-start', 'without its checkpoint; with another input that goes anyway');
}

/** One after the other; says of each what has become of it. */
async function changeEach(
  { printer }: Session,
  ids: readonly string[],
  change: (id: string) => Promise<string>,
): Promise<void> {
  for (const id of ids) {
    const outcome = await change(id);
    if (printer.json) printer.item({ id, outcome });
    else printer.record([id, outcome]);
  }
}

function addCompleteToken(task: Command, terminal: Terminal): void {
  const texts = {
    usage: 'complete-token <token> [fields...]',
    description:
      'Complete a token that a task waits for, with a payload made of the fields, such as approved=true',
    examples: [
      'popfleet task complete-token TOKEN approved=true',
      `popfleet task complete-token TOKEN --payload '"yes"'`,
    ],
  };
  addVerb(task, terminal, texts, async ({ client, printer, signal }, [token, fields], options) => {
    const given = fields as readonly string[];
    const document = options['payload'] as string | undefined;
    const isEmpty = document === undefined && given.length === 0;
    const payload = isEmpty ? undefined : await readTaskInput(given, document, terminal.stdin, '--payload');
    const completed = await client.waitpoints.complete(token as string, payload, { signal });
    if (printer.json) printer.document(completed);
    else printer.line(completed.repeated ? 'completed before, with the same payload' : 'completed');
  }).option('--payload <json>', 'the whole payload: JSON, @file, or - for stdin');
}
