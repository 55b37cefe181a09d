// Workflows, newest first, filtered and in pages.

import type { Items } from './api-types.d.ts';
import type { WorkflowRow } from './api-workflow-types.d.ts';
import { toDuration } from './format.ts';
import { serverNow } from './api.ts';
import { Chip, Code, Empty } from './parts.tsx';
import { linkTo, linkToWorkflow } from './place.ts';
import {
  type Conditions,
  type FilteredList,
  isFiltered,
  linkToList,
  queryOf,
  readConditions,
  RecordFilters,
} from './record-filters.tsx';
import { RecordCells, RecordList, SinceCells } from './records.tsx';
import { useResource } from './resource.ts';
import { may } from './shared.ts';
import { NoRead } from './with-fleet.tsx';

const ROWS_A_PAGE = 50;
const LIST: FilteredList = {
  screen: 'workflows',
  states: ['accepting', 'running', 'succeeded', 'dead', 'cancelled'],
};
const EXAMPLE = `curl ${new URL('../v1/workflows', import.meta.url).href} \\
  -H 'content-type: application/json' -d '{"name": "sums", "tasks": {
  "first": {"type": "add", "input": {"one": 1, "two": 2}},
  "second": {"type": "add", "input": {"one": {"$from": "first"}, "two": 5}, "needs": ["first"]}}}'`;

export function WorkflowsScreen({ query }: { readonly query: URLSearchParams }) {
  if (!may('read')) return <NoRead />;
  const conditions = readConditions(query, LIST);
  return (
    <>
      <header class="screen-head">
        <h1>Workflows</h1>
        <p class="muted">Tasks that need each other, sent as one.</p>
      </header>
      <RecordFilters list={LIST} of={conditions} />
      <Rows conditions={conditions} cursor={query.get('cursor') ?? ''} />
    </>
  );
}

function Rows({ conditions, cursor }: { readonly conditions: Conditions; readonly cursor: string }) {
  const page = useResource<Items<WorkflowRow>>(`workflows?${queryOf(conditions, cursor, ROWS_A_PAGE)}`, 2);
  return (
    <RecordList
      page={page}
      label="Workflows"
      heads={['State', 'Workflow', '-Progress', '#Steps', '#Dead', '#Try', 'Accepted', 'Took', 'Queue']}
      nothing={(isLast) => <Nothing conditions={conditions} isLast={isLast} />}
      first={cursor === '' ? undefined : linkToList(LIST, conditions)}
      linkToNext={(next) => linkToList(LIST, conditions, next)}
      Row={Row}
    />
  );
}

function Nothing({ conditions, isLast }: { readonly conditions: Conditions; readonly isLast: boolean }) {
  if (isFiltered(conditions)) {
    return (
      <Empty title={isLast ? 'No workflow matches' : 'None of those that were looked at matches'}>
        <a href={linkTo(['workflows'])}>Clear the filter</a>
      </Empty>
    );
  }
  return (
    <>
      <Empty title="There is no workflow yet">
        <p>This one adds a number to what another step brings:</p>
      </Empty>
      <Code text={EXAMPLE} />
    </>
  );
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
