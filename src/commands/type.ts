// `popfleet type`: the task types that the server accepts.

import type { Command } from 'commander';
import { ApiError } from '../client/api-error.ts';
import type { TypeView } from '../client/shapes.ts';
import type { Column } from './printer.ts';
import type { Terminal } from './terminal.ts';
import { addVerb, type Session } from './verb.ts';

const COLUMNS: readonly Column<TypeView>[] = [
  { title: 'TYPE', text: ({ type }) => type },
  { title: 'RUNS IN', text: ({ runIn }) => runIn },
  { title: 'INPUT', text: ({ input }) => fieldsOf(input) },
];

export function addTypeVerbs(type: Command, terminal: Terminal): void {
  const list = { usage: 'list', description: 'List the task types', examples: ['popfleet type list'] };
  addVerb(type, terminal, list, async ({ client, printer, signal }) => {
    const items = await client.fleet.types({ signal });
    if (printer.json) printer.document({ items });
    else printer.table(COLUMNS, items);
  });
  const show = {
    usage: 'show <type>',
    description: 'Show a task type with its defaults',
    examples: ['popfleet type show add'],
  };
  addVerb(type, terminal, show, async (session, [name]) =>
    session.printer.document(await find(session, name as string)),
  );
  const schema = {
    usage: 'schema <type>',
    description: 'Write the JSON Schema of the input of a task type',
    examples: ['popfleet type schema add'],
  };
  addVerb(type, terminal, schema, async (session, [name]) =>
    session.printer.document((await find(session, name as string)).input),
  );
}

async function find({ client, signal }: Session, name: string): Promise<TypeView> {
  const found = (await client.fleet.types({ signal })).find(({ type }) => type === name);
  if (found) return found;
  throw new ApiError(`There is no task type "${name}". popfleet type list shows all.`, {
    status: 404,
    code: 'unknown-type',
  });
}

/** Names of the fields, those that may be missing with a question mark. */
function fieldsOf(schema: unknown): string {
  const {
    properties,
    required = [],
    type,
  } = schema as {
    readonly properties?: object;
    readonly required?: readonly string[];
    readonly type?: unknown;
  };
  if (properties === undefined) return typeof type === 'string' ? type : 'any';
  return Object.keys(properties)
    .map((name) => (required.includes(name) ? name : `${name}?`))
    .join(' ');
}
