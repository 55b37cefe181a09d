// Dead letters by what they died of.

import type { Items, TaskType } from './api-types.d.ts';
import { Choice } from './choice.tsx';
import { Failures, useFailures } from './failures.tsx';
import { plural } from './format.ts';
import { sum } from './live.ts';
import { Card, Empty, Pending } from './parts.tsx';
import { go, linkTo } from './place.ts';
import { useResource } from './resource.ts';
import { may, useShared } from './shared.ts';
import { Stale } from './stale.tsx';
import { NoRead } from './with-fleet.tsx';

const SINCE = new Map([
  ['', 'any time'],
  ['1', 'the last hour'],
  ['24', 'the last day'],
  ['168', 'the last week'],
]);

const SHOWN = new Map([
  ['', 'those to look at'],
  ['true', 'those that are ignored'],
]);

const FIRST_SEEN = new Map([
  ['', 'any time'],
  ['true', 'since the workers started'],
]);

export function DeadScreen({ query }: { readonly query: URLSearchParams }) {
  const { fleet } = useShared();
  if (!may('read')) return <NoRead />;
  const dead = fleet === undefined ? undefined : sum(fleet.queues, ({ counts }) => counts['dead'] ?? 0);
  return (
    <>
      <header class="screen-head">
        <h1>Dead letters</h1>
        <p class="muted">
          {dead === undefined
            ? ''
            : `${plural(dead, 'task has', 'tasks have')} failed for good and not been run again.`}
        </p>
      </header>
      <Filters query={query} names={fleet?.queues.map(({ queue }) => queue) ?? []} />
      <Groups key={query.toString()} query={query} />
    </>
  );
}

function Filters({ query, names }: { readonly query: URLSearchParams; readonly names: readonly string[] }) {
  const filter = {
    queue: query.get('queue') ?? '',
    type: query.get('type') ?? '',
    hours: query.get('hours') ?? '',
    new: query.get('new') ?? '',
    ignored: query.get('ignored') ?? '',
  };
  const known = useResource<Items<TaskType>>('types', 0).data?.items.map(({ type }) => type) ?? [];
  // One that only other servers know may stand in an address.
  const types = [...new Set(['', ...known, filter.type])];
  const set = (part: Partial<typeof filter>): void => go(linkTo(['dead'], { ...filter, ...part }));
  return (
    <form class="filters" aria-label="Filter" onSubmit={(event) => event.preventDefault()}>
      <Choice label="Queue" value={filter.queue} choices={['', ...names]} set={(queue) => set({ queue })} />
      <Choice label="Type" value={filter.type} choices={types} set={(type) => set({ type })} />
      <Choice
        label="Seen in"
        value={filter.hours}
        choices={[...SINCE.keys()]}
        words={SINCE}
        set={(hours) => set({ hours })}
      />
      <Choice
        label="First seen"
        value={filter.new}
        choices={[...FIRST_SEEN.keys()]}
        words={FIRST_SEEN}
        set={(value) => set({ new: value })}
      />
      <Choice
        label="Show"
        value={filter.ignored}
        choices={[...SHOWN.keys()]}
        words={SHOWN}
        set={(ignored) => set({ ignored })}
      />
    </form>
  );
}

function Groups({ query }: { readonly query: URLSearchParams }) {
  const filter = ['queue', 'type', 'new', 'cursor'].map((name) => [name, query.get(name) ?? ''] as const);
  const groups = useFailures(
    {
      ...Object.fromEntries(filter.filter(([, value]) => value !== '')),
      ignored: String(query.get('ignored') === 'true'),
    },
    Number(query.get('hours') ?? ''),
  );
  const { data, problem } = groups;
  if (data === undefined) return <Pending of={groups} />;
  if (data.items.length === 0) {
    const isFiltered = query.toString() !== '';
    return (
      <Card>
        <Empty title={isFiltered ? 'No failure matches these filters' : 'No task has failed for good'}>
          {isFiltered ? (
            <a href={linkTo(['dead'])}>Clear the filter</a>
          ) : (
            <p>
              Failures appear here by their cause.{' '}
              <a href={linkTo(['dead'], { ignored: 'true' })}>Those that are ignored</a> stand apart.
            </p>
          )}
        </Empty>
      </Card>
    );
  }
  const next = data.next;
  return (
    <Card>
      <Stale what="These numbers" problem={problem} />
      <Failures groups={data.items} label="Failures" />
      {next === undefined ? undefined : (
        <nav class="pages" aria-label="Pages">
          <a
            id="next-page"
            class="button"
            href={linkTo(['dead'], { ...Object.fromEntries(query), cursor: next })}
          >
            Next page
          </a>
        </nav>
      )}
    </Card>
  );
}
