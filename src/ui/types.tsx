// Task types: what each takes, whether a live worker knows it, and how its runs have gone.

import type { TypeRuns } from './api-hours-types.d.ts';
import type { Items, TaskType, Worker } from './api-types.d.ts';
import { plural, toCount, toDuration, toPercent } from './format.ts';
import { Card, Chip, Empty, Loading, ProblemBox, Table } from './parts.tsx';
import { linkTo } from './place.ts';
import { useResource } from './resource.ts';
import { may, useShared } from './shared.ts';
import { lastDay, Sparkline } from './sparkline.tsx';
import { Stale } from './stale.tsx';

export function TypesScreen() {
  if (!may('read'))
    return may('enqueue') ? <ByName /> : <Empty isScreen title="Your key may not see task types" />;
  return <Types />;
}

/** A key that may send, and see nothing. */
function ByName() {
  return (
    <Empty isScreen title="Your key may send tasks, and see none">
      <p>
        Which types there are, only a key with the scope “read” is told. The one of the example is{' '}
        <a href={linkTo(['types', 'add'])}>add</a>.
      </p>
    </Empty>
  );
}

function Types() {
  const { data, problem, reload } = useResource<Items<TaskType>>('types', 0);
  const runs = useResource<Items<TypeRuns>>('types/runs', 2);
  if (data === undefined) return problem ? <ProblemBox problem={problem} retry={reload} /> : <Loading />;
  const accepted = new Map(data.items.map((one) => [one.type, one]));
  const ran = new Map(runs.data?.items.map((one) => [one.type, one]));
  const names = [...accepted.keys(), ...[...ran.keys()].filter((type) => !accepted.has(type))];
  return (
    <>
      <header class="screen-head">
        <h1>Types</h1>
        <p class="muted">
          What this server accepts, and how it has gone in the last 24 hours. Workers announce the types that
          they have handlers for.
        </p>
      </header>
      <Card>
        <Stale what="The numbers" problem={runs.problem} />
        <Table label="Task types" heads={HEADS}>
          {names.map((type) => (
            <TypeRow
              key={type}
              type={type}
              accepted={accepted.get(type)}
              runs={ran.get(type)}
              isRead={runs.data !== undefined}
            />
          ))}
        </Table>
      </Card>
    </>
  );
}

const HEADS = ['Type', 'Queue', 'Known by', '24 hours', '#Runs', '#Failed', '#p50', '#p95', '#p99', '-Run'];

/** Shorter runs are not told apart. */
const SHORTEST_MS = 5;

/** @param accepted what this server knows of it; other servers may accept others */
function TypeRow({
  type,
  accepted,
  runs,
  isRead,
}: {
  readonly type: string;
  readonly accepted: TaskType | undefined;
  readonly runs: TypeRuns | undefined;
  readonly isRead: boolean;
}) {
  const { fleet } = useShared();
  return (
    <tr data-row>
      <td class="failure">
        {accepted === undefined ? <ForeignType type={type} /> : <AcceptedType of={accepted} />}
      </td>
      <td>{accepted === undefined ? '–' : (accepted.defaults.queue ?? 'default')}</td>
      <td>{fleet === undefined ? '–' : knownBy(type, fleet.workers)}</td>
      {runs === undefined ? <NoRuns isRead={isRead} /> : <Runs of={runs} />}
      <td class="row-end">
        {accepted !== undefined && may('enqueue') ? (
          <a class="button small" href={linkTo(['types', type])} aria-label={`Run ${type} by hand`}>
            Run…
          </a>
        ) : undefined}
      </td>
    </tr>
  );
}

/** Of another server, or of popfleet itself. */
function ForeignType({ type }: { readonly type: string }) {
  return (
    <>
      <b>{type}</b>{' '}
      <span>{type === 'popfleet.webhook' ? 'deliveries of webhooks' : 'not accepted by this server'}</span>
    </>
  );
}

function AcceptedType({ of: { type, input, runIn } }: { readonly of: TaskType }) {
  const takes = Object.keys(input.properties ?? {}).join(', ') || String(input.type ?? 'any input');
  return (
    <a href={linkTo(['types', type])}>
      <b>{type}</b>{' '}
      <span>
        {takes}
        {runIn === 'inline' ? ', inline' : ''}
      </span>
    </a>
  );
}

/** @param isRead when it is known that there were none */
function NoRuns({ isRead }: { readonly isRead: boolean }) {
  return (
    <>
      <td>
        <Sparkline isGood of={isRead ? [] : undefined} />
      </td>
      <td class="number muted">{isRead ? '0' : '–'}</td>
      {['Failed', 'p50', 'p95', 'p99'].map((name) => (
        <td key={name} class="number muted">
          –
        </td>
      ))}
    </>
  );
}

function Runs({ of }: { readonly of: TypeRuns }) {
  const { type, runs, failed } = of;
  return (
    <>
      <td>
        <Sparkline isGood of={lastDay([of])} />
      </td>
      <td class="number">{toCount(runs)}</td>
      <td class="number">
        {failed === 0 ? (
          <span class="muted">0 %</span>
        ) : (
          <a
            class="count-dead"
            href={linkTo(['dead'], { type })}
            title={`${toCount(failed)} of ${plural(runs, 'run')} failed`}
          >
            {toPercent(failed / runs)}
          </a>
        )}
      </td>
      {[of.p50Ms, of.p95Ms, of.p99Ms].map((ms, at) => (
        <td key={at} class="number">
          {ms === null ? '–' : ms <= SHORTEST_MS ? `< ${SHORTEST_MS} ms` : toDuration(ms)}
        </td>
      ))}
    </>
  );
}

/** A worker that announces no types may know any. */
function knownBy(type: string, workers: readonly Worker[]) {
  const knows = new Set(
    workers.filter(({ types }) => types?.includes(type) ?? true).map(({ worker }) => worker),
  ).size;
  if (knows > 0) return plural(knows, 'worker');
  return workers.length === 0 ? (
    <span class="muted">no live worker</span>
  ) : (
    <Chip state="dead">no live worker</Chip>
  );
}
