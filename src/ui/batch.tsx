// One batch, live: how far it is, what follows it, and which of its tasks have failed.

import { useState } from 'preact/hooks';
import { NoRead } from './with-fleet.tsx';
import { may } from './shared.ts';
import { useResource } from './resource.ts';
import { ErrorCell, RecordCard, StaleRecord } from './records.tsx';
import { linkTo, linkToQueue, linkToTask } from './place.ts';
import { Action, Card, Chip, Empty, Facts, IdLine, Pending, Table, Ticking, Time } from './parts.tsx';
import { plural, toCount, toShortId } from './format.ts';
import { BatchState, tookOf } from './batches.tsx';
import { callApi } from './api.ts';
import type { Items, TaskRow } from './api-types.d.ts';
import type { Batch } from './api-batch-types.d.ts';

export function BatchScreen({ id }: { readonly id: string }) {
  return may('read') ? <LiveBatch id={id} /> : <NoRead />;
}

function LiveBatch({ id }: { readonly id: string }) {
  const resource = useResource<Batch>(pathOf(id));
  const { data: batch, problem, reload } = resource;
  if (batch === undefined) return problem?.status === 404 ? <Unknown id={id} /> : <Pending of={resource} />;
  const isGone = problem?.status === 404;
  const { counts } = batch;
  return (
    <>
      <header class="screen-head">
        <h1>
          {batch.name ?? `Batch ${toShortId(id)}`} <BatchState of={batch} />
        </h1>
        {isGone || batch.state !== 'open' || !may('enqueue') ? undefined : (
          <div class="actions">
            <Action
              label="Close"
              done="It takes no more tasks"
              confirm="It takes no more tasks, and has ended when all that it has have ended."
              run={() => callApi('POST', `${pathOf(id)}/close`)}
              after={reload}
            />
          </div>
        )}
        <IdLine of={id} />
      </header>
      <StaleRecord problem={problem} />
      <About batch={batch} />
      {counts.dead + counts.cancelled === 0 ? undefined : (
        <Failed id={id} count={counts.dead + counts.cancelled} />
      )}
    </>
  );
}

const pathOf = (id: string): string => `batches/${encodeURIComponent(id)}`;

function Unknown({ id }: { readonly id: string }) {
  return (
    <Empty isScreen title="There is no such batch">
      <p>
        <code>{id}</code>
      </p>
      <p>The record of one that has ended is kept for as long as the fleet is set to keep finished tasks.</p>
      <a href={linkTo(['batches'])}>All batches</a>
    </Empty>
  );
}

/** Those that have not ended are one: the record knows no more of them. */
function countsOf({ members, ended, pending, succeeded, dead, cancelled }: Batch['counts']) {
  const counts = [
    ['succeeded', succeeded],
    ['dead', dead],
    ['cancelled', cancelled],
    ['waiting', Math.max(0, members - ended) + pending],
  ] as const;
  return counts.filter(([, count]) => count > 0);
}

function About({ batch }: { readonly batch: Batch }) {
  const { counts, queue, acceptedAt, endedAt, success, complete, state } = batch;
  const tasks = counts.members + counts.pending;
  return (
    <RecordCard
      title={`${toCount(counts.ended)} of ${plural(tasks, 'task')} ended`}
      label="Tasks by state"
      counts={countsOf(counts)}
      wordOf={(of) => (of === 'waiting' ? 'to come' : of)}
    >
      <Facts
        isWide
        of={[
          ['Home queue', <a href={linkToQueue(queue)}>{queue}</a>],
          ['Accepted', <Time at={acceptedAt} />],
          [
            endedAt === undefined ? 'For' : 'Took',
            endedAt === undefined ? <Ticking since={acceptedAt} /> : tookOf(batch),
          ],
          ['Ended', endedAt === undefined ? undefined : <Time at={endedAt} />],
          ['On their way', counts.pending === 0 ? undefined : toCount(counts.pending)],
          [
            'Never accepted',
            counts.missing === undefined
              ? undefined
              : `${plural(counts.missing, 'task')}: it was interrupted while they were sent`,
          ],
          ['After success', <Then of={success} isDone={state === 'succeeded'} />],
          ['After the end', <Then of={complete} isDone={endedAt !== undefined} />],
        ]}
      />
    </RecordCard>
  );
}

function Then({ of, isDone }: { readonly of: Batch['success']; readonly isDone: boolean }) {
  if (of === undefined) return <span class="muted">nothing follows</span>;
  return (
    <p>
      {of.type} in <a href={linkToQueue(of.queue)}>{of.queue}</a>
      {isDone ? <span class="muted"> (accepted)</span> : undefined}
    </p>
  );
}

/** @param count of those that failed: when it changes, what is shown is read again */
function Failed({ id, count }: { readonly id: string; readonly count: number }) {
  const [cursor, turn] = useState('');
  const page = useResource<Items<TaskRow>>(
    `${pathOf(id)}/failed${cursor === '' ? '' : `?cursor=${cursor}`}`,
    2,
  );
  const { data, reload } = page;
  return (
    <Card title={`${plural(count, 'task')} did not succeed`} tone="bad">
      {data === undefined ? <Pending of={page} /> : undefined}
      {data?.items.length === 0 ? <p class="muted">Those of this page were deleted.</p> : undefined}
      {data === undefined || data.items.length === 0 ? undefined : (
        <Table
          label="Tasks that did not succeed"
          heads={['State', 'Task', 'Queue', 'Ended', 'Error', '-Retry']}
        >
          {data.items.map((row) => (
            <FailedRow key={row.id} row={row} reload={reload} />
          ))}
        </Table>
      )}
      {cursor === '' && data?.next === undefined ? undefined : (
        <nav class="pages" aria-label="Pages">
          {cursor === '' ? undefined : (
            <button type="button" id="first-page" onClick={() => turn('')}>
              First page
            </button>
          )}
          {data?.next === undefined ? undefined : (
            <button type="button" id="next-page" onClick={() => turn(data.next ?? '')}>
              Next page
            </button>
          )}
        </nav>
      )}
    </Card>
  );
}

function FailedRow({ row, reload }: { readonly row: TaskRow; readonly reload: () => void }) {
  const { id, state, type, queue, finishedAt, error } = row;
  return (
    <tr data-row>
      <td>
        <Chip state={state} />
      </td>
      <td>
        <a href={linkToTask(id)} title={id}>
          {type} <span class="mono">{toShortId(id)}</span>
        </a>
      </td>
      <td>
        <a href={linkToQueue(queue)}>{queue}</a>
      </td>
      <td>
        <Time at={finishedAt} />
      </td>
      <ErrorCell of={error} />
      <td class="row-end">
        {state === 'dead' && may('admin') ? (
          <Action
            label="Retry"
            about={toShortId(id)}
            done="It is ready again"
            run={() => callApi('POST', `tasks/${id}/retry`)}
            after={reload}
          />
        ) : undefined}
      </td>
    </tr>
  );
}
