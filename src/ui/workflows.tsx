// Workflows, newest first, filtered and in pages.

import type { Items } from './api-types.d.ts';
import type { WorkflowRow } from './api-workflow-types.d.ts';
import { Choice } from './choice.tsx';
import { toDuration, toShortId } from './format.ts';
import { serverNow } from './api.ts';
import { Meter } from './meter.tsx';
import { Card, Chip, Code, Empty, Pending, Table, Time } from './parts.tsx';
import { Pages } from './pages.tsx';
import { go, linkTo, linkToQueue, linkToWorkflow } from './place.ts';
import { useResource } from './resource.ts';
import { may } from './shared.ts';
import { NoRead } from './with-fleet.tsx';

const ROWS_A_PAGE = 50;
const STATES = ['accepting', 'running', 'succeeded', 'dead', 'cancelled'];
const EXAMPLE = `curl ${new URL('../v1/workflows', import.meta.url).href} \\
  -H 'content-type: application/json' -d '{"name": "sums", "tasks": {
  "first": {"type": "add", "input": {"one": 1, "two": 2}},
  "second": {"type": "add", "input": {"one": {"$from": "first"}, "two": 5}, "needs": ["first"]}}}'`;

interface Conditions {
  readonly state: string;
  readonly name: string;
}

export function WorkflowsScreen({ query }: { readonly query: URLSearchParams }) {
  if (!may('read')) return <NoRead />;
  const state = query.get('state') ?? '';
  const conditions = { state: STATES.includes(state) ? state : '', name: query.get('name') ?? '' };
  return (
    <>
      <header class="screen-head">
        <h1>Workflows</h1>
        <p class="muted">Tasks that need each other, sent as one.</p>
      </header>
      <Filters of={conditions} />
      <Rows conditions={conditions} cursor={query.get('cursor') ?? ''} />
    </>
  );
}

function linkToList(conditions: Conditions, cursor?: string): string {
  return linkTo(['workflows'], { ...conditions, cursor });
}

function Filters({ of }: { readonly of: Conditions }) {
  return (
    <form class="filters" aria-label="Filter" onSubmit={(event) => event.preventDefault()}>
      <Choice
        label="State"
        value={of.state}
        choices={['', ...STATES]}
        empty="any"
        set={(state) => go(linkToList({ ...of, state }))}
      />
      <label>
        Name
        <input
          id="workflow-name"
          type="search"
          placeholder="begins with…"
          autocomplete="off"
          spellcheck={false}
          value={of.name}
          onChange={({ currentTarget }) => go(linkToList({ ...of, name: currentTarget.value.trim() }))}
        />
      </label>
    </form>
  );
}

function Rows({ conditions, cursor }: { readonly conditions: Conditions; readonly cursor: string }) {
  const given = { ...conditions, cursor, limit: String(ROWS_A_PAGE) };
  const query = new URLSearchParams(Object.entries(given).filter(([, value]) => value !== ''));
  const page = useResource<Items<WorkflowRow>>(`workflows?${query.toString()}`, 2);
  const { data, problem } = page;
  if (data === undefined) return <Pending of={page} />;
  const { items, next } = data;
  return (
    <Card>
      {problem ? <p class="stale">These rows may be old: {problem.title}</p> : undefined}
      {items.length === 0 ? (
        <Nothing conditions={conditions} isLast={next === undefined} />
      ) : (
        <Table
          label="Workflows"
          heads={['State', 'Workflow', '-Progress', '#Steps', '#Dead', '#Try', 'Accepted', 'Took', 'Queue']}
        >
          {items.map((row) => (
            <Row key={row.id} row={row} />
          ))}
        </Table>
      )}
      <Pages
        first={cursor === '' ? undefined : linkToList(conditions)}
        next={next === undefined ? undefined : linkToList(conditions, next)}
      />
    </Card>
  );
}

function Nothing({ conditions, isLast }: { readonly conditions: Conditions; readonly isLast: boolean }) {
  if (conditions.state !== '' || conditions.name !== '') {
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
  const { id, name, counts, generation, acceptedAt, queue } = row;
  return (
    <tr data-row>
      <td>
        <WorkflowState of={row} />
      </td>
      <td class="cut" title={name === undefined ? id : `${name} (${id})`}>
        <a class={name === undefined ? 'mono' : undefined} href={linkToWorkflow(id)}>
          {name ?? toShortId(id)}
        </a>
      </td>
      <td>
        <Meter
          value={counts.ended}
          of={counts.total}
          label={`${counts.ended} of ${counts.total} steps`}
          state={counts.dead > 0 ? 'dead' : row.state}
        />
      </td>
      <td class="number">{`${counts.ended}/${counts.total}`}</td>
      <td class={counts.dead > 0 ? 'number count-dead' : 'number zero'}>{counts.dead}</td>
      <td class="number">{generation}</td>
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
