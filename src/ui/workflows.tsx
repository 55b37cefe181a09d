// Workflows, newest first, filtered and in pages.

import type { WorkflowRow } from './api-workflow-types.d.ts';
import { serverNow } from './api.ts';
import { toDuration } from './format.ts';
import { Chip } from './parts.tsx';
import { linkToWorkflow } from './place.ts';
import { type Records, RecordsScreen } from './records-screen.tsx';
import { RecordCells, SinceCells } from './records.tsx';

const WORKFLOWS: Records<WorkflowRow> = {
  path: 'workflows',
  title: 'Workflows',
  one: 'workflow',
  about: 'Tasks that need each other, sent as one.',
  states: ['accepting', 'running', 'succeeded', 'dead', 'cancelled'],
  heads: ['State', 'Workflow', '-Progress', '#Steps', '#Dead', '#Try', 'Accepted', 'Took', 'Queue'],
  Row,
  example: {
    text: 'This one adds a number to what another step brings:',
    curl: `curl ${new URL('../v1/workflows', import.meta.url).href} \\
  -H 'content-type: application/json' -d '{"name": "sums", "tasks": {
  "first": {"type": "add", "input": {"one": 1, "two": 2}},
  "second": {"type": "add", "input": {"one": {"$from": "first"}, "two": 5}, "needs": ["first"]}}}'`,
  },
};

export function WorkflowsScreen({ query }: { readonly query: URLSearchParams }) {
  return <RecordsScreen of={WORKFLOWS} query={query} />;
}

function Row({ row }: { readonly row: WorkflowRow }) {
  const { counts, generation } = row;
  return (
    <tr data-row>
      <td>
        <WorkflowState of={row} />
      </td>
      <RecordCells of={{ ...row, href: linkToWorkflow(row.id) }} {...counts} word="steps" />
      <td class="number">{generation}</td>
      <SinceCells of={row} took={tookOf(row)} />
    </tr>
  );
}

/** How long it has run, or runs already. */
export function tookOf({ startedAt, endedAt }: WorkflowRow): string {
  if (startedAt === undefined) return '–';
  return toDuration((endedAt === undefined ? serverNow() : Date.parse(endedAt)) - Date.parse(startedAt));
}

export function WorkflowState({ of: { state, cancelling } }: { readonly of: WorkflowRow }) {
  if (state === 'accepting') return <Chip state="waiting">accepting</Chip>;
  if (state === 'running' && cancelling === true) return <Chip state="warn">cancelling</Chip>;
  return <Chip state={state} />;
}
