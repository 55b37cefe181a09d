// Tasks of a queue, filtered and in pages. Rows on the screen stay where they are: what is new waits behind a button, and what is
// selected stays selected.

import { useEffect, useState } from 'preact/hooks';
import type { Items, TaskRow } from './api-types.d.ts';
import { plural, toCount, toShortId } from './format.ts';
import { Copy } from './copy.tsx';
import { Card, Chip, Empty, Loading, ProblemBox, Table, Time } from './parts.tsx';
import { Pages } from './pages.tsx';
import { linkToTask } from './place.ts';
import { useResource } from './resource.ts';
import { conditionsOf, type Filter, linkToTasks, readFilter } from './search.ts';
import { may, useShared } from './shared.ts';
import { Stale } from './stale.tsx';
import { Tags } from './tags.tsx';
import { TaskBulk } from './task-bulk.tsx';
import { TaskFilters } from './task-filters.tsx';
import { NoRead } from './with-fleet.tsx';
import { WorkerLink } from './worker-link.tsx';

const ROWS_A_PAGE = 50;

export function TasksScreen({ query }: { readonly query: URLSearchParams }) {
  const { fleet } = useShared();
  if (!may('read')) return <NoRead />;
  const names = fleet?.queues.map(({ queue }) => queue) ?? [];
  const filter = readFilter(query, names.includes('default') ? 'default' : (names[0] ?? 'default'));
  const cursor = query.get('cursor') ?? '';
  const counts = fleet?.queues.find(({ queue }) => queue === filter.queue)?.counts;
  const isByState = conditionsOf(filter).every(([name]) => name === 'state');
  const all = (counts?.['accepted'] ?? 0) - (counts?.['removed'] ?? 0);
  const count = filter.state === '' ? all : counts?.[filter.state];
  return (
    <>
      <header class="screen-head">
        <h1>Tasks</h1>
        <p class="muted">
          {isByState && counts !== undefined && count !== undefined
            ? `${filter.state === '' ? plural(count, 'task') : `${toCount(count)} ${filter.state}`} in ${filter.queue}.`
            : undefined}
        </p>
      </header>
      <TaskFilters filter={filter} names={names} />
      <Rows key={linkToTasks(filter, cursor)} filter={filter} cursor={cursor} queues={names} />
    </>
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

function Rows({
  filter,
  cursor,
  queues,
}: {
  readonly filter: Filter;
  readonly cursor: string;
  readonly queues: readonly string[];
}) {
  const query = new URLSearchParams(
    Object.entries({ ...filter, cursor, limit: String(ROWS_A_PAGE) }).filter(([, value]) => value !== ''),
  );
  const { data, problem, reload } = useResource<Items<TaskRow>>(`tasks?${query.toString()}`, 2);
  const [kept, keep] = useState<readonly TaskRow[]>();
  const [selected, select] = useState<ReadonlySet<string>>(new Set());
  const isFirst = kept === undefined || kept.length === 0;
  useEffect(() => {
    if (isFirst && data !== undefined) keep(data.items);
  }, [data]);
  if (data === undefined) return problem ? <ProblemBox problem={problem} retry={reload} /> : <Loading />;
  const { rows, moved, fresh } = merge(kept, data.items);
  if (rows.length === 0) return <Nothing filter={filter} next={data.next} />;
  const turn = (id: string, isOn: boolean): void =>
    select((before) => new Set(isOn ? [...before, id] : [...before].filter((one) => one !== id)));
  const showLatest = (): void => {
    keep(data.items);
    const there = new Set(data.items.map(({ id }) => id));
    select((before) => new Set([...before].filter((id) => there.has(id))));
  };
  return (
    <Card>
      <Stale what="These rows" problem={problem} />
      <div class="rows-head">
        {may('admin') ? (
          <Selection
            filter={filter}
            rows={rows}
            selected={selected}
            select={(ids) => select(new Set(ids))}
            queues={queues}
          />
        ) : undefined}
        {fresh + moved.size === 0 ? undefined : (
          <button type="button" class="fresh small" onClick={showLatest}>
            {fresh > 0 ? `${fresh} new` : plural(moved.size, 'row has moved on', 'rows have moved on')}: show
          </button>
        )}
      </div>
      <Table label="Tasks" heads={[...(may('admin') ? ['-Select'] : []), ...HEADS]}>
        {rows.map((row) => (
          <Row
            key={row.id}
            row={row}
            hasMoved={moved.has(row.id)}
            isSelected={selected.has(row.id)}
            turn={turn}
          />
        ))}
      </Table>
      <Pages
        first={cursor === '' ? undefined : linkToTasks(filter)}
        next={data.next === undefined ? undefined : linkToTasks(filter, data.next)}
      />
    </Card>
  );
}

const HEADS = ['State', 'Task', 'Type', 'Priority', '#Attempt', 'Accepted', 'When', 'Tags', 'Error', '-Copy'];

/** What can be done with the rows that are selected or, while none is, with all that match. */
function Selection({
  filter,
  rows,
  selected,
  select,
  queues,
}: {
  readonly filter: Filter;
  readonly rows: readonly TaskRow[];
  readonly selected: ReadonlySet<string>;
  readonly select: (ids: readonly string[]) => void;
  readonly queues: readonly string[];
}) {
  const chosen = rows.filter(({ id }) => selected.has(id));
  const isAll = chosen.length === rows.length;
  const ofFilter = filter.state === '' ? [] : [filter.state];
  const states = chosen.length > 0 ? chosen.map(({ state }) => state) : ofFilter;
  return (
    <div class="selection" role="group" aria-label="Selection">
      <label class="check">
        <input
          type="checkbox"
          checked={isAll}
          onChange={() => select(isAll ? [] : rows.map(({ id }) => id))}
        />
        {chosen.length === 0 ? 'All on this page' : `${toCount(chosen.length)} selected`}
      </label>
      <TaskBulk scope={{ filter, ids: chosen.map(({ id }) => id), states }} queues={queues} />
      {chosen.length === 0 ? undefined : (
        <button type="button" id="clear-selection" class="small quiet" onClick={() => select([])}>
          Clear
        </button>
      )}
    </div>
  );
}

function Row({
  row,
  hasMoved,
  isSelected,
  turn,
}: {
  readonly row: TaskRow;
  readonly hasMoved: boolean;
  readonly isSelected: boolean;
  readonly turn: (id: string, isOn: boolean) => void;
}) {
  const { id, state, type, queue, priority, attempt, acceptedAt, error, tags = [] } = row;
  return (
    <tr data-row class={isSelected ? 'is-selected' : hasMoved ? 'has-moved' : undefined}>
      {may('admin') ? (
        <td class="select">
          <input
            type="checkbox"
            checked={isSelected}
            aria-label={`Select ${type} ${toShortId(id)}`}
            onChange={(event) => turn(id, event.currentTarget.checked)}
          />
        </td>
      ) : undefined}
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
      <td class="cut" title={tags.join(', ')}>
        <Tags tags={tags} queue={queue} />
      </td>
      <td class="cut" title={error ? `${error.name}: ${error.message}` : undefined}>
        {error ? (
          <a href={linkToTasks({ queue, state: 'dead', fingerprint: error.fingerprint ?? '' })}>
            {`${error.name}: ${error.message}`}
          </a>
        ) : (
          ''
        )}
      </td>
      <td class="row-end copy-id">
        <Copy text={id} label="Copy id" />
      </td>
    </tr>
  );
}

/** State → what its task waits for. */
const WAITS = new Map([
  ['moved', 'on its way'],
  ['waiting', 'waits for others'],
]);

function whenOf({ state, dueAt, startedAt, finishedAt, worker }: TaskRow) {
  if (state === 'scheduled') return <Time at={dueAt} prefix="due " />;
  if (finishedAt !== undefined) return <Time at={finishedAt} prefix="ended " />;
  if (state === 'running') {
    return (
      <>
        <Time at={startedAt} prefix="started " />
        {worker === undefined ? undefined : (
          <>
            {' on '}
            <WorkerLink worker={worker} />
          </>
        )}
      </>
    );
  }
  return <span class="muted">{WAITS.get(state) ?? 'waits'}</span>;
}

function Nothing({ filter, next }: { readonly filter: Filter; readonly next: string | undefined }) {
  const { queue } = filter;
  const isFiltered = conditionsOf(filter).length > 0;
  return (
    <Card>
      <Empty title={isFiltered ? `No task in “${queue}” matches` : `There is no task in “${queue}”`}>
        {isFiltered ? (
          <p>
            {conditionsOf(filter)
              .map(([name, value]) => `${name} ${value}`)
              .join(', ')}
          </p>
        ) : undefined}
        {next === undefined ? undefined : <p>This page is empty, and there are more.</p>}
        <p>
          {next === undefined ? undefined : (
            <a id="next-page" href={linkToTasks(filter, next)}>
              Next page
            </a>
          )}{' '}
          {isFiltered ? <a href={linkToTasks({ queue })}>Clear the filter</a> : undefined}
        </p>
      </Empty>
    </Card>
  );
}
