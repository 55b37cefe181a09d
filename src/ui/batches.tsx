// Batches, newest first, filtered and in pages.

import type { Batch } from './api-batch-types.d.ts';
import { serverNow } from './api.ts';
import { toCount, toDuration } from './format.ts';
import { Chip } from './parts.tsx';
import { linkToBatch } from './place.ts';
import { type Records, RecordsScreen } from './records-screen.tsx';
import { RecordCells, SinceCells } from './records.tsx';

const BATCHES: Records<Batch> = {
  path: 'batches',
  title: 'Batches',
  one: 'batch',
  about: 'Tasks that are counted together, and what follows when all have ended.',
  states: ['open', 'running', 'succeeded', 'dead', 'cancelled'],
  heads: ['State', 'Batch', '-Progress', '#Tasks', '#Dead', '#Cancelled', 'Accepted', 'Took', 'Queue'],
  Row,
  example: {
    text: 'This one counts two tasks:',
    curl: `curl ${new URL('../v1/batches', import.meta.url).href} \\
  -H 'content-type: application/json' -d '{"name": "sums", "tasks": [
  {"type": "add", "input": {"one": 1, "two": 2}},
  {"type": "add", "input": {"one": 3, "two": 4}}]}'`,
  },
};

export function BatchesScreen({ query }: { readonly query: URLSearchParams }) {
  return <RecordsScreen of={BATCHES} query={query} />;
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
