// Batches, newest first, filtered and in pages.

import { NoRead } from './with-fleet.tsx';
import { may } from './shared.ts';
import { useResource } from './resource.ts';
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
import { linkTo, linkToBatch } from './place.ts';
import { Chip, Code, Empty } from './parts.tsx';
import { toCount, toDuration } from './format.ts';
import { serverNow } from './api.ts';
import type { Items } from './api-types.d.ts';
import type { Batch } from './api-batch-types.d.ts';

const ROWS_A_PAGE = 50;
const LIST: FilteredList = {
  screen: 'batches',
  states: ['open', 'running', 'succeeded', 'dead', 'cancelled'],
};
const EXAMPLE = `curl ${new URL('../v1/batches', import.meta.url).href} \\
  -H 'content-type: application/json' -d '{"name": "sums", "tasks": [
  {"type": "add", "input": {"one": 1, "two": 2}},
  {"type": "add", "input": {"one": 3, "two": 4}}]}'`;

export function BatchesScreen({ query }: { readonly query: URLSearchParams }) {
  if (!may('read')) return <NoRead />;
  const conditions = readConditions(query, LIST);
  return (
    <>
      <header class="screen-head">
        <h1>Batches</h1>
        <p class="muted">Tasks that are counted together, and what follows when all have ended.</p>
      </header>
      <RecordFilters list={LIST} of={conditions} />
      <Rows conditions={conditions} cursor={query.get('cursor') ?? ''} />
    </>
  );
}

function Rows({ conditions, cursor }: { readonly conditions: Conditions; readonly cursor: string }) {
  const page = useResource<Items<Batch>>(`batches?${queryOf(conditions, cursor, ROWS_A_PAGE)}`, 2);
  return (
    <RecordList
      page={page}
      label="Batches"
      heads={['State', 'Batch', '-Progress', '#Tasks', '#Dead', '#Cancelled', 'Accepted', 'Took', 'Queue']}
      nothing={(isLast) => <Nothing conditions={conditions} isFirst={cursor === ''} isLast={isLast} />}
      first={cursor === '' ? undefined : linkToList(LIST, conditions)}
      linkToNext={(next) => linkToList(LIST, conditions, next)}
      Row={Row}
    />
  );
}

function Nothing({
  conditions,
  isFirst,
  isLast,
}: {
  readonly conditions: Conditions;
  readonly isFirst: boolean;
  readonly isLast: boolean;
}) {
  if (isFiltered(conditions)) {
    return (
      <Empty title={isLast ? 'No batch matches' : 'None of those that were looked at matches'}>
        <a href={linkTo(['batches'])}>Clear the filter</a>
      </Empty>
    );
  }
  if (!isFirst) return <Empty title="There are no older ones" />;
  return (
    <>
      <Empty title="There is no batch yet">
        <p>This one counts two tasks:</p>
      </Empty>
      <Code text={EXAMPLE} />
    </>
  );
}

function Row({ row }: { readonly row: Batch }) {
  const { counts } = row;
  return (
    <tr data-row>
      <td>
        <BatchState of={row} />
      </td>
      <RecordCells
        of={{ ...row, href: linkToBatch(row.id) }}
        {...counts}
        total={counts.members + counts.pending}
        word="tasks"
      />
      <td class={counts.cancelled > 0 ? 'number' : 'number zero'}>{toCount(counts.cancelled)}</td>
      <SinceCells of={row} took={tookOf(row)} />
    </tr>
  );
}

/** How long it has taken, or takes already. */
export function tookOf({ acceptedAt, endedAt }: Batch): string {
  return toDuration((endedAt === undefined ? serverNow() : Date.parse(endedAt)) - Date.parse(acceptedAt));
}

export function BatchState({ of: { state } }: { readonly of: Batch }) {
  return state === 'open' ? <Chip state="waiting">open</Chip> : <Chip state={state} />;
}
