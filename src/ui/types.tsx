// Task types: what each takes, and whether a live worker knows it.

import type { Items, TaskType, Worker } from './api-types.d.ts';
import { plural } from './format.ts';
import { Card, Chip, Empty, Loading, ProblemBox, Table } from './parts.tsx';
import { linkTo } from './place.ts';
import { useResource } from './resource.ts';
import { may, useShared } from './shared.ts';

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
  const { fleet } = useShared();
  if (data === undefined) return problem ? <ProblemBox problem={problem} retry={reload} /> : <Loading />;
  return (
    <>
      <header class="screen-head">
        <h1>Types</h1>
        <p class="muted">What this server accepts. Workers announce the types that they have handlers for.</p>
      </header>
      <Card>
        <Table label="Task types" heads={['Type', 'Input', 'Queue', 'Runs', 'Known by', '-Run']}>
          {data.items.map(({ type, input, defaults, runIn }) => (
            <tr key={type} data-row>
              <td>
                <a href={linkTo(['types', type])}>
                  <b>{type}</b>
                </a>
              </td>
              <td class="cut mono">
                {Object.keys(input.properties ?? {}).join(', ') || String(input.type ?? 'any')}
              </td>
              <td>{defaults.queue ?? 'default'}</td>
              <td>{runIn === 'inline' ? 'inline' : 'in a thread'}</td>
              <td>{fleet === undefined ? '–' : knownBy(type, fleet.workers)}</td>
              <td class="row-end">
                {may('enqueue') ? (
                  <a class="button small" href={linkTo(['types', type])} aria-label={`Run ${type} by hand`}>
                    Run…
                  </a>
                ) : undefined}
              </td>
            </tr>
          ))}
        </Table>
      </Card>
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
