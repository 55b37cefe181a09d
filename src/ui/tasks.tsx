// Tasks of a queue, filtered and in pages. Rows on the screen stay where they are: what is new waits behind a button.

import { useEffect, useState } from 'preact/hooks';
import type { Items, TaskRow } from './api-types.d.ts';
import { STATES } from './conservation.tsx';
import { plural, toCount, toShortId } from './format.ts';
import { Card, Chip, Copy, Empty, Loading, ProblemBox, Table, Time } from './parts.tsx';
import { go, linkTo, linkToTask } from './place.ts';
import { useResource } from './resource.ts';
import { may, useShared } from './shared.ts';
import { NoRead } from './with-fleet.tsx';

const ROWS_A_PAGE = 50;

interface Filter {
  readonly queue: string;
  readonly state: string;
  readonly type: string;
}

export function TasksScreen({ query }: { readonly query: URLSearchParams }) {
  const { fleet } = useShared();
  if (!may('read')) return <NoRead />;
  const names = fleet?.queues.map(({ queue }) => queue) ?? [];
  const filter: Filter = {
    queue: query.get('queue') ?? (names.includes('default') ? 'default' : (names[0] ?? 'default')),
    state: query.get('state') ?? '',
    type: query.get('type') ?? '',
  };
  const cursor = query.get('cursor') ?? '';
  const counts = fleet?.queues.find(({ queue }) => queue === filter.queue)?.counts;
  const count = filter.type === '' ? counts?.[filter.state] : undefined;
  return (
    <>
      <header class="screen-head">
        <h1>Tasks</h1>
        <p class="muted">
          {count === undefined
            ? 'No payloads are read for a list.'
            : `${toCount(count)} ${filter.state} in ${filter.queue}.`}
        </p>
      </header>
      <Filters filter={filter} names={names} />
      <Rows key={linkTo([], { ...filter, cursor })} filter={filter} cursor={cursor} />
    </>
  );
}

function Filters({ filter, names }: { readonly filter: Filter; readonly names: readonly string[] }) {
  const { queue, state, type } = filter;
  const set = (part: Partial<Filter>): void => go(linkTo(['tasks'], { ...filter, ...part }));
  const known = names.includes(queue) ? names : [queue, ...names];
  return (
    <form class="filters" aria-label="Filter" onSubmit={(event) => event.preventDefault()}>
      <label>
        Queue
        <select value={queue} onChange={(event) => set({ queue: event.currentTarget.value })}>
          {known.map((name) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <label>
        State
        <select value={state} onChange={(event) => set({ state: event.currentTarget.value })}>
          <option value="">any</option>
          {STATES.map((one) => (
            <option key={one} value={one}>
              {one}
            </option>
          ))}
        </select>
      </label>
      <label>
        Type
        <input
          key={type}
          value={type}
          placeholder="any"
          autocomplete="off"
          spellcheck={false}
          onChange={(event) => set({ type: event.currentTarget.value.trim() })}
        />
      </label>
      {state === '' && type === '' ? undefined : (
        <a class="button" href={linkTo(['tasks'], { queue })}>
          Clear
        </a>
      )}
    </form>
  );
}

/** The rows on the screen, brought up to date from the latest reading of their page. */
interface Shown {
  readonly rows: readonly TaskRow[];
  /** Ids of rows that the page does not have any more: they are in another state, or gone. */
  readonly moved: ReadonlySet<string>;
  /** How many the page has that are not on the screen. */
  readonly fresh: number;
}

function merge(before: readonly TaskRow[] | undefined, page: readonly TaskRow[]): Shown {
  if (before === undefined || before.length === 0) return { rows: page, moved: new Set(), fresh: 0 };
  const latest = new Map(page.map((row) => [row.id, row]));
  const shown = new Set(before.map(({ id }) => id));
  return {
    rows: before.map((row) => latest.get(row.id) ?? row),
    moved: new Set(before.filter(({ id }) => !latest.has(id)).map(({ id }) => id)),
    fresh: page.filter(({ id }) => !shown.has(id)).length,
  };
}

function Rows({ filter, cursor }: { readonly filter: Filter; readonly cursor: string }) {
  const query = new URLSearchParams(
    Object.entries({ ...filter, cursor, limit: String(ROWS_A_PAGE) }).filter(([, value]) => value !== ''),
  );
  const { data, problem, reload } = useResource<Items<TaskRow>>(`tasks?${query.toString()}`, 2);
  const [kept, keep] = useState<readonly TaskRow[]>();
  const isFirst = kept === undefined || kept.length === 0;
  useEffect(() => {
    if (isFirst && data !== undefined) keep(data.items);
  }, [data]);
  if (data === undefined) return problem ? <ProblemBox problem={problem} retry={reload} /> : <Loading />;
  const { rows, moved, fresh } = merge(kept, data.items);
  if (rows.length === 0) return <Nothing filter={filter} next={data.next} />;
  return (
    <Card>
      {problem ? <p class="stale">These rows may be old: {problem.title}</p> : undefined}
      {fresh + moved.size === 0 ? undefined : (
        <button type="button" class="fresh" onClick={() => keep(data.items)}>
          {fresh > 0 ? `${fresh} new` : plural(moved.size, 'row has moved on', 'rows have moved on')}: show
        </button>
      )}
      <Table
        label="Tasks"
        heads={['State', 'Task', 'Type', 'Priority', '#Attempt', 'Accepted', 'When', 'Error', '-Copy']}
      >
        {rows.map((row) => (
          <Row key={row.id} row={row} hasMoved={moved.has(row.id)} />
        ))}
      </Table>
      <Pages filter={filter} cursor={cursor} next={data.next} />
    </Card>
  );
}

function Row({ row, hasMoved }: { readonly row: TaskRow; readonly hasMoved: boolean }) {
  const { id, state, type, priority, attempt, acceptedAt, error } = row;
  return (
    <tr data-row class={hasMoved ? 'has-moved' : undefined}>
      <td>
        <Chip state={state} />
      </td>
      <td>
        <a class="mono" href={linkToTask(id)} title={id}>
          {toShortId(id)}
        </a>
      </td>
      <td>{type}</td>
      <td>{priority}</td>
      <td class="number">{attempt}</td>
      <td>
        <Time at={acceptedAt} />
      </td>
      <td>{whenOf(row)}</td>
      <td class="cut" title={error ? `${error.name}: ${error.message}` : undefined}>
        {error ? `${error.name}: ${error.message}` : ''}
      </td>
      <td class="row-end copy-id">
        <Copy text={id} label="Copy id" />
      </td>
    </tr>
  );
}

function whenOf({ state, dueAt, startedAt, finishedAt }: TaskRow) {
  if (state === 'scheduled') return <Time at={dueAt} prefix="due " />;
  if (finishedAt !== undefined) return <Time at={finishedAt} prefix="ended " />;
  if (state === 'running') return <Time at={startedAt} prefix="started " />;
  return <span class="muted">waits</span>;
}

function Pages({
  filter,
  cursor,
  next,
}: {
  readonly filter: Filter;
  readonly cursor: string;
  readonly next: string | undefined;
}) {
  if (cursor === '' && next === undefined) return null;
  return (
    <nav class="pages" aria-label="Pages">
      {cursor === '' ? undefined : (
        <a id="first-page" class="button" href={linkTo(['tasks'], { ...filter })}>
          First page
        </a>
      )}
      {next === undefined ? undefined : (
        <a id="next-page" class="button" href={linkTo(['tasks'], { ...filter, cursor: next })}>
          Next page
        </a>
      )}
    </nav>
  );
}

function Nothing({ filter, next }: { readonly filter: Filter; readonly next: string | undefined }) {
  const { queue, state, type } = filter;
  const isFiltered = state !== '' || type !== '';
  const words = [state, type === '' ? '' : `of the type “${type}”`].filter(Boolean).join(' and ');
  return (
    <Card>
      <Empty title={isFiltered ? `No task in “${queue}” is ${words}` : `There is no task in “${queue}”`}>
        {next === undefined ? undefined : <p>This page is empty, and there are more.</p>}
        <p>
          {next === undefined ? undefined : (
            <a id="next-page" href={linkTo(['tasks'], { ...filter, cursor: next })}>
              Next page
            </a>
          )}{' '}
          {isFiltered ? <a href={linkTo(['tasks'], { queue })}>Clear the filter</a> : undefined}
        </p>
      </Empty>
    </Card>
  );
}
