// Operations: what is done to many tasks, how far it is, and what was left out and why.

import { callApi, serverNow } from './api.ts';
import type { Items, Operation, OperationCall } from './api-types.d.ts';
import { Bulk } from './bulk.tsx';
import { plural, toCount, toDuration } from './format.ts';
import { useEvents } from './live.ts';
import { Meter } from './meter.tsx';
import { Action, Card, Chip, Empty, Facts, Pending, Table, Time } from './parts.tsx';
import { linkTo, linkToQueue } from './place.ts';
import { useResource } from './resource.ts';
import { may, useShared } from './shared.ts';
import { Stale } from './stale.tsx';

/** State → the state of a task that has its colour. */
const TONES = new Map([
  ['waiting', 'scheduled'],
  ['running', 'running'],
  ['watching', 'running'],
  ['done', 'succeeded'],
  ['stopped', 'dead'],
  ['cancelled', 'cancelled'],
]);
const OPEN = new Set(['waiting', 'running', 'watching']);

export function OperationsScreen() {
  if (!may('admin')) return <NoAdmin />;
  return <List />;
}

function NoAdmin() {
  return (
    <Empty isScreen title="Your key may not see operations">
      <p>This needs a key with the scope “admin”.</p>
    </Empty>
  );
}

function List() {
  const operations = useResource<Items<Operation>>('operations');
  const { data, problem } = operations;
  if (data === undefined) return <Pending of={operations} />;
  const open = data.items.filter(({ state }) => OPEN.has(state)).length;
  return (
    <>
      <header class="screen-head">
        <h1>Operations</h1>
        <p class="muted">{open === 0 ? 'None is under way.' : `${open} under way.`}</p>
      </header>
      <Card>
        <Stale what="These numbers" problem={problem} />
        {data.items.length === 0 ? (
          <Empty title="Nothing was done to many tasks yet">
            <p>
              <a href={linkTo(['dead'])}>Dead letters</a> of one cause can be run again, moved or deleted all
              at once.
            </p>
          </Empty>
        ) : (
          <Table
            label="Operations"
            heads={['State', 'Operation', 'Progress', '#Done', '#Skipped', '#Failed', 'Begun', 'By']}
          >
            {data.items.map((operation) => (
              <Row key={operation.id} operation={operation} />
            ))}
          </Table>
        )}
      </Card>
    </>
  );
}

function Row({ operation }: { readonly operation: Operation }) {
  const { id, done, skipped, failed, createdAt, by } = operation;
  return (
    <tr data-row>
      <td>
        <StateChip operation={operation} />
      </td>
      <td>
        <a href={linkTo(['operations', id])}>
          <b>{verbOf(operation)}</b> <span class="muted">{wordsOf(operation)}</span>
        </a>
      </td>
      <td>
        <Share operation={operation} />
      </td>
      <td class="number">{toCount(done)}</td>
      <td class="number">{toCount(total(skipped))}</td>
      <td class="number">{toCount(total(failed))}</td>
      <td>
        <Time at={createdAt} />
      </td>
      <td>{by ?? <span class="muted">–</span>}</td>
    </tr>
  );
}

function StateChip({ operation: { state } }: { readonly operation: Operation }) {
  return <Chip state={TONES.get(state) ?? 'plain'}>{state}</Chip>;
}

/** How much of what it looks at it has seen, as far as that can be told. */
function Share({ operation }: { readonly operation: Operation }) {
  const percent = percentOf(operation);
  return <Meter value={percent} of={100} label={`${percent} % done`} />;
}

function percentOf({ state, matched, done, startedAt, etaMs }: Operation): number {
  if (state === 'done' || state === 'watching') return 100;
  if (!OPEN.has(state)) return matched === 0 ? 0 : Math.round((done / matched) * 100);
  if (startedAt === undefined || etaMs === undefined) return 0;
  const gone = serverNow() - Date.parse(startedAt);
  return gone <= 0 ? 0 : Math.round((gone / (gone + etaMs)) * 100);
}

function total(byReason: Readonly<Record<string, number>>): number {
  return Object.values(byReason).reduce((sum, count) => sum + count, 0);
}

const VERBS = new Map([
  ['retry', 'Retry'],
  ['cancel', 'Cancel'],
  ['delete', 'Delete'],
  ['move', 'Move'],
]);

function verbOf({ action, first }: OperationCall): string {
  const verb = VERBS.get(action) ?? action;
  return first === undefined ? verb : `${verb} the first ${toCount(first)}`;
}

/** Its filter, as people say it. */
function wordsOf({ filter: { queue, ...rest }, to }: OperationCall): string {
  const parts = Object.entries(rest).map(([name, value]) => `${name} ${String(value)}`);
  const all = parts.length === 0 ? 'all tasks' : parts.join(', ');
  return `${all} in ${queue}${to === undefined ? '' : `, to ${to}`}`;
}

export function OperationScreen({ id }: { readonly id: string }) {
  if (!may('admin')) return <NoAdmin />;
  return <One id={id} />;
}

function One({ id }: { readonly id: string }) {
  const path = `operations/${encodeURIComponent(id)}`;
  const { isPaused } = useShared();
  const operation = useResource<Operation>(path);
  const { data, problem, reload } = operation;
  const isOpen = data !== undefined && OPEN.has(data.state);
  useEvents(isOpen ? `events?topics=operation:${encodeURIComponent(id)}` : undefined, isPaused, (kind) => {
    if (kind === 'operation') reload();
  });
  if (problem?.status === 404 && data === undefined) {
    return (
      <Empty isScreen title="There is no such operation">
        <p>The latest hundred of each queue are kept.</p>
        <a href={linkTo(['operations'])}>All operations</a>
      </Empty>
    );
  }
  if (data === undefined) return <Pending of={operation} />;
  return (
    <>
      <header class="screen-head">
        <h1>
          {verbOf(data)} <StateChip operation={data} />
        </h1>
        <div class="actions">
          {isOpen ? (
            <Action
              id="cancel"
              label="Cancel"
              tone="danger"
              done="It ends after the slice that is under way"
              confirm={`It ends after the slice that is under way. What it has done to ${plural(data.done, 'task')} stays done.`}
              run={() => callApi('POST', `${path}/cancel`)}
              after={reload}
            />
          ) : undefined}
          <Rest operation={data} />
        </div>
      </header>
      <Progress operation={data} />
      <div class="columns">
        <Card title="Tasks">
          <Reasons operation={data} />
        </Card>
        <About operation={data} />
      </div>
    </>
  );
}

/** One that was for the first ones can go on with the others. */
function Rest({ operation: { next, watched } }: { readonly operation: Operation }) {
  if (next === undefined) return null;
  const { confirm: _, ...call } = next;
  const words =
    watched === undefined
      ? 'Does the same to those that still match.'
      : `${toCount(watched.succeeded)} of the first ones have succeeded, ${toCount(watched.dead)} are dead again. Goes on with those that still match.`;
  return (
    <Bulk
      label={`${VERBS.get(call.action) ?? call.action} the rest`}
      tone="primary"
      words={words}
      call={call}
    />
  );
}

function Progress({ operation }: { readonly operation: Operation }) {
  const { state, matched, done, ratePerSecond, etaMs, watched } = operation;
  const facts = [
    ratePerSecond === undefined ? '' : `${toCount(ratePerSecond)} a second`,
    etaMs === undefined ? '' : `about ${toDuration(etaMs)} to go`,
  ].filter(Boolean);
  return (
    <Card
      title={`${toCount(done)} of ${plural(matched, 'task')} done`}
      aside={<span class="muted">{facts.join(', ')}</span>}
    >
      <progress value={percentOf(operation)} max={100} aria-label="Progress" />
      {watched === undefined ? undefined : (
        <p role="status">
          <Chip state="succeeded">{toCount(watched.succeeded)} succeeded</Chip>{' '}
          <Chip state="dead">{toCount(watched.dead)} dead again</Chip>{' '}
          {watched.others === 0 ? undefined : <Chip state="cancelled">{toCount(watched.others)} others</Chip>}
          {state === 'stopped' ? ' Too many were dead again, so it has stopped.' : ''}
          {state === 'watching' ? ' It waits for the ends of the others.' : ''}
        </p>
      )}
    </Card>
  );
}

const REASONS = new Map([
  ['running', 'they ran'],
  ['already-requested', 'they were asked to stop before'],
  ['pinned', 'what follows their end is still to be accepted'],
  ['unreadable', 'their row cannot be read'],
]);

function Reasons({
  operation: { matched, done, requested, skipped, failed },
}: {
  readonly operation: Operation;
}) {
  const because = (word: string, byReason: Readonly<Record<string, number>>) =>
    Object.entries(byReason).map(
      ([reason, count]) => [`${word}: ${REASONS.get(reason) ?? reason}`, toCount(count)] as const,
    );
  return (
    <Facts
      of={[
        ['Matched', toCount(matched)],
        ['Done', <b key="done">{toCount(done)}</b>],
        ['of these asked to stop', requested === 0 ? undefined : toCount(requested)],
        ...because('Skipped', skipped),
        ...because('Failed', failed),
      ]}
    />
  );
}

function About({ operation }: { readonly operation: Operation }) {
  const { queue, filter, to, first, stopAfterErrors, thenRest, by, reason, createdAt, startedAt, endedAt } =
    operation;
  const { queue: _, ...rest } = filter;
  return (
    <Card title="What was asked for">
      <Facts
        of={[
          ['Queue', <a href={linkToQueue(queue)}>{queue}</a>],
          ...Object.entries(rest).map(([name, value]) => [name, <code>{String(value)}</code>] as const),
          ['To', to],
          ['First', first === undefined ? undefined : toCount(first)],
          ['Stops at', stopAfterErrors === undefined ? undefined : plural(stopAfterErrors, 'failure')],
          ['Then', thenRest === true ? 'the others' : undefined],
          ['By', by],
          ['Reason', reason],
          ['Asked for', <Time at={createdAt} />],
          ['Begun', startedAt === undefined ? undefined : <Time at={startedAt} />],
          ['Ended', endedAt === undefined ? undefined : <Time at={endedAt} />],
        ]}
      />
    </Card>
  );
}
