// The screens of workflows and batches: records of tasks that belong together, newest first, filtered and in pages.

import type { ComponentChildren } from 'preact';
import type { Items } from './api-types.d.ts';
import { Choice } from './choice.tsx';
import { Pages } from './pages.tsx';
import { Card, Code, Empty, Pending, Table } from './parts.tsx';
import { go, linkTo } from './place.ts';
import { useResource } from './resource.ts';
import { may } from './shared.ts';
import { Stale } from './stale.tsx';
import { NoRead } from './with-fleet.tsx';

/** A kind of records. */
export interface Records<T> {
  /** Its screen, and its resource. */
  readonly path: 'workflows' | 'batches';
  readonly title: string;
  /** One of them, such as `batch`. */
  readonly one: string;
  readonly about: string;
  readonly states: readonly string[];
  readonly heads: readonly string[];
  readonly Row: (props: { readonly row: T }) => ComponentChildren;
  /** What makes the first one. */
  readonly example: { readonly text: string; readonly curl: string };
}

/** `''` = any. */
interface Conditions {
  readonly state: string;
  readonly name: string;
}

const ROWS_A_PAGE = 50;

export function RecordsScreen<T extends { readonly id: string }>({
  of,
  query,
}: {
  readonly of: Records<T>;
  readonly query: URLSearchParams;
}) {
  if (!may('read')) return <NoRead />;
  const state = query.get('state') ?? '';
  const conditions = { state: of.states.includes(state) ? state : '', name: query.get('name') ?? '' };
  return (
    <>
      <header class="screen-head">
        <h1>{of.title}</h1>
        <p class="muted">{of.about}</p>
      </header>
      <Filters of={of} conditions={conditions} />
      <Rows of={of} conditions={conditions} cursor={query.get('cursor') ?? ''} />
    </>
  );
}

function Filters<T>({
  of: { path, states },
  conditions,
}: {
  readonly of: Records<T>;
  readonly conditions: Conditions;
}) {
  const set = (part: Partial<Conditions>): void => go(linkTo([path], { ...conditions, ...part }));
  return (
    <form class="filters" aria-label="Filter" onSubmit={(event) => event.preventDefault()}>
      <Choice
        label="State"
        value={conditions.state}
        choices={['', ...states]}
        empty="any"
        set={(state) => set({ state })}
      />
      <label>
        Name
        <input
          id="record-name"
          type="search"
          placeholder="begins with…"
          autocomplete="off"
          spellcheck={false}
          value={conditions.name}
          onChange={({ currentTarget }) => set({ name: currentTarget.value.trim() })}
        />
      </label>
    </form>
  );
}

function Rows<T extends { readonly id: string }>({
  of,
  conditions,
  cursor,
}: {
  readonly of: Records<T>;
  readonly conditions: Conditions;
  readonly cursor: string;
}) {
  const { path, title, heads, Row } = of;
  const given = { ...conditions, cursor, limit: String(ROWS_A_PAGE) };
  const query = new URLSearchParams(Object.entries(given).filter(([, value]) => value !== ''));
  const page = useResource<Items<T>>(`${path}?${query.toString()}`, 2);
  const { data, problem } = page;
  if (data === undefined) return <Pending of={page} />;
  const { items, next } = data;
  return (
    <Card>
      <Stale what="These rows" problem={problem} />
      {items.length === 0 ? (
        <Nothing
          of={of}
          isFiltered={conditions.state !== '' || conditions.name !== ''}
          isFirst={cursor === ''}
          isLast={next === undefined}
        />
      ) : (
        <Table label={title} heads={heads}>
          {items.map((row) => (
            <Row key={row.id} row={row} />
          ))}
        </Table>
      )}
      <Pages
        first={cursor === '' ? undefined : linkTo([path], { ...conditions })}
        next={next === undefined ? undefined : linkTo([path], { ...conditions, cursor: next })}
      />
    </Card>
  );
}

/** @param isLast whether no other page follows */
function Nothing<T>({
  of: { path, one, example },
  isFiltered,
  isFirst,
  isLast,
}: {
  readonly of: Records<T>;
  readonly isFiltered: boolean;
  readonly isFirst: boolean;
  readonly isLast: boolean;
}) {
  if (isFiltered) {
    return (
      <Empty title={isLast ? `No ${one} matches` : 'None of those that were looked at matches'}>
        <a href={linkTo([path])}>Clear the filter</a>
      </Empty>
    );
  }
  if (!isFirst) return <Empty title="There are no older ones" />;
  return (
    <>
      <Empty title={`There is no ${one} yet`}>
        <p>{example.text}</p>
      </Empty>
      <Code text={example.curl} />
    </>
  );
}
