// Changes that need the scope `admin`, newest first.

import type { AuditEntry, Items } from './api-types.d.ts';
import { Choice } from './choice.tsx';
import { Card, Empty, Loading, ProblemBox, Table, Time } from './parts.tsx';
import { go, linkTo, linkToQueue, linkToTask } from './place.ts';
import { useResource } from './resource.ts';
import { may, useShared } from './shared.ts';
import { Stale } from './stale.tsx';
import { NoAdmin } from './with-fleet.tsx';

type Query = Readonly<Record<'queue' | 'operation' | 'by' | 'cursor', string>>;

export function AuditScreen({ query }: { readonly query: URLSearchParams }) {
  const of = (name: string): string => query.get(name) ?? '';
  const asked: Query = { queue: of('queue'), operation: of('operation'), by: of('by'), cursor: of('cursor') };
  if (!may('admin')) return <NoAdmin what="what was changed, and by whom" />;
  return (
    <>
      <header class="screen-head">
        <h1>Audit</h1>
        <p class="muted">What was changed, and by which key. The latest 10,000 changes are kept, about.</p>
      </header>
      <Filters asked={asked} />
      <Entries key={linkTo([], asked)} asked={asked} />
    </>
  );
}

function Filters({ asked }: { readonly asked: Query }) {
  const { fleet } = useShared();
  const names = fleet?.queues.map(({ queue }) => queue) ?? [];
  const known = asked.queue === '' || names.includes(asked.queue) ? names : [asked.queue, ...names];
  const set = (part: Partial<Query>): void => go(linkTo(['audit'], { ...asked, ...part, cursor: '' }));
  return (
    <form class="filters" aria-label="Filter" onSubmit={(event) => event.preventDefault()}>
      <Choice
        label="Queue"
        value={asked.queue}
        choices={['', ...known]}
        empty="any"
        set={(queue) => set({ queue })}
      />
      {(['operation', 'by'] as const).map((name) => (
        <label key={name}>
          {name === 'by' ? 'Key' : 'Operation'}
          <input
            key={asked[name]}
            value={asked[name]}
            placeholder="any"
            autocomplete="off"
            spellcheck={false}
            onChange={(event) => set({ [name]: event.currentTarget.value.trim() })}
          />
        </label>
      ))}
      {asked.queue + asked.operation + asked.by === '' ? undefined : (
        <a class="button" href={linkTo(['audit'])}>
          Clear
        </a>
      )}
    </form>
  );
}

function Entries({ asked }: { readonly asked: Query }) {
  const query = new URLSearchParams(Object.entries(asked).filter(([, value]) => value !== ''));
  const { data, problem, reload } = useResource<Items<AuditEntry>>(`audit?${query.toString()}`, 2);
  if (data === undefined) return problem ? <ProblemBox problem={problem} retry={reload} /> : <Loading />;
  if (data.items.length === 0 && data.next === undefined) {
    return (
      <Card>
        <Empty title={query.size === 0 ? 'Nothing was changed yet' : 'No change matches'}>
          {query.size === 0 ? (
            <p>A pause, a retry, a deletion: each change by a key with the scope “admin” is kept here.</p>
          ) : (
            <a href={linkTo(['audit'])}>Clear the filter</a>
          )}
        </Empty>
      </Card>
    );
  }
  return (
    <Card>
      <Stale what="These rows" problem={problem} />
      <Table label="Changes" heads={['When', 'Operation', 'About', 'Queue', 'Key', 'What else', 'Request']}>
        {data.items.map((entry) => (
          <Row key={entry.id} entry={entry} asked={asked} />
        ))}
      </Table>
      {asked.cursor === '' && data.next === undefined ? undefined : (
        <nav class="pages" aria-label="Pages">
          {asked.cursor === '' ? undefined : (
            <a id="first-page" class="button" href={linkTo(['audit'], { ...asked, cursor: '' })}>
              First page
            </a>
          )}
          {data.next === undefined ? undefined : (
            <a id="next-page" class="button" href={linkTo(['audit'], { ...asked, cursor: data.next })}>
              Next page
            </a>
          )}
        </nav>
      )}
    </Card>
  );
}

function Row({ entry, asked }: { readonly entry: AuditEntry; readonly asked: Query }) {
  const { at, operation, target, queue, by, facts, requestId } = entry;
  const link = (part: Partial<Query>): string => linkTo(['audit'], { ...asked, ...part, cursor: '' });
  const more = factsOf(facts);
  return (
    <tr data-row>
      <td>
        <Time at={at} />
      </td>
      <td>
        <a href={link({ operation })}>{operation}</a>
      </td>
      <td class="cut">{aboutOf(target, operation)}</td>
      <td>{queue === undefined ? '–' : <a href={linkToQueue(queue)}>{queue}</a>}</td>
      <td>{by === undefined ? <span class="muted">no key</span> : <a href={link({ by })}>{by}</a>}</td>
      <td class="cut" title={more}>
        {more}
      </td>
      <td class="cut mono" title={requestId}>
        {requestId.slice(0, 8)}
      </td>
    </tr>
  );
}

/** Leads to what was changed, where the page has a screen for it. */
function aboutOf(target: AuditEntry['target'], operation: string) {
  const { id, name, operation: op, ...others } = target;
  if (id !== undefined && operation.endsWith('Task')) return <a href={linkToTask(id)}>{id}</a>;
  if (id !== undefined && /webhook/i.test(operation)) return <a href={linkTo(['webhooks', id])}>{id}</a>;
  if (op !== undefined) return <a href={linkTo(['operations', op])}>{op}</a>;
  return id ?? name ?? Object.values(others).join(', ');
}

function factsOf(facts: AuditEntry['facts']): string {
  return Object.entries(facts)
    .map(([name, value]) => `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(', ');
}
