// Batches, newest first, in pages.

import { NoRead } from './with-fleet.tsx';
import { may } from './shared.ts';
import { useResource } from './resource.ts';
import { RecordCells, RecordList, SinceCells } from './records.tsx';
import { linkTo, linkToBatch } from './place.ts';
import { Chip, Code, Empty } from './parts.tsx';
import { toCount, toDuration } from './format.ts';
import { serverNow } from './api.ts';
import type { Items } from './api-types.d.ts';
import type { Batch } from './api-batch-types.d.ts';

const ROWS_A_PAGE = 50;
const EXAMPLE = `curl ${new URL('../v1/batches', import.meta.url).href} \\
  -H 'content-type: application/json' -d '{"name": "sums", "tasks": [
  {"type": "add", "input": {"one": 1, "two": 2}},
  {"type": "add", "input": {"one": 3, "two": 4}}]}'`;

export function BatchesScreen({ query }: { readonly query: URLSearchParams }) {
  if (!may('read')) return <NoRead />;
  return (
    <>
      <header class="screen-head">
        <h1>Batches</h1>
        <p class="muted">Tasks that are counted together, and what follows when all have ended.</p>
      </header>
      <Rows cursor={query.get('cursor') ?? ''} />
    </>
  );
}

function Rows({ cursor }: { readonly cursor: string }) {
  const query = new URLSearchParams({ limit: String(ROWS_A_PAGE), ...(cursor === '' ? {} : { cursor }) });
  const page = useResource<Items<Batch>>(`batches?${query.toString()}`, 2);
  return (
    <RecordList
      page={page}
      label="Batches"
      heads={['State', 'Batch', '-Progress', '#Tasks', '#Dead', '#Cancelled', 'Accepted', 'Took', 'Queue']}
      nothing={() => <Nothing isFirst={cursor === ''} />}
      first={cursor === '' ? undefined : linkTo(['batches'])}
      linkToNext={(next) => linkTo(['batches'], { cursor: next })}
      Row={Row}
    />
  );
}

function Nothing({ isFirst }: { readonly isFirst: boolean }) {
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
