// Batches, newest first, in pages.

import type { Batch } from './api-batch-types.d.ts';
import type { Items } from './api-types.d.ts';
import { serverNow } from './api.ts';
import { toCount, toDuration, toShortId } from './format.ts';
import { Meter } from './meter.tsx';
import { Card, Chip, Code, Empty, Pending, Table, Time } from './parts.tsx';
import { Pages } from './pages.tsx';
import { linkTo, linkToBatch, linkToQueue } from './place.ts';
import { useResource } from './resource.ts';
import { may } from './shared.ts';
import { NoRead } from './with-fleet.tsx';

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
  const { data, problem } = page;
  if (data === undefined) return <Pending of={page} />;
  const { items, next } = data;
  return (
    <Card>
      {problem ? <p class="stale">These rows may be old: {problem.title}</p> : undefined}
      {items.length === 0 ? (
        <Nothing isFirst={cursor === ''} />
      ) : (
        <Table
          label="Batches"
          heads={[
            'State',
            'Batch',
            '-Progress',
            '#Tasks',
            '#Dead',
            '#Cancelled',
            'Accepted',
            'Took',
            'Queue',
          ]}
        >
          {items.map((row) => (
            <Row key={row.id} row={row} />
          ))}
        </Table>
      )}
      <Pages
        first={cursor === '' ? undefined : linkTo(['batches'])}
        next={next === undefined ? undefined : linkTo(['batches'], { cursor: next })}
      />
    </Card>
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
  const { id, name, counts, acceptedAt, queue } = row;
  const tasks = counts.members + counts.pending;
  return (
    <tr data-row>
      <td>
        <BatchState of={row} />
      </td>
      <td class="cut" title={name === undefined ? id : `${name} (${id})`}>
        <a class={name === undefined ? 'mono' : undefined} href={linkToBatch(id)}>
          {name ?? toShortId(id)}
        </a>
      </td>
      <td>
        <Meter
          value={counts.ended}
          of={tasks}
          label={`${toCount(counts.ended)} of ${toCount(tasks)} tasks`}
          state={counts.dead > 0 ? 'dead' : row.state}
        />
      </td>
      <td class="number">{`${toCount(counts.ended)}/${toCount(tasks)}`}</td>
      <td class={counts.dead > 0 ? 'number count-dead' : 'number zero'}>{toCount(counts.dead)}</td>
      <td class={counts.cancelled > 0 ? 'number' : 'number zero'}>{toCount(counts.cancelled)}</td>
      <td>
        <Time at={acceptedAt} />
      </td>
      <td>{tookOf(row)}</td>
      <td>
        <a href={linkToQueue(queue)}>{queue}</a>
      </td>
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
