// One task, live: what happened to it, why it does not run, what its handler said, and what can be done about it.

import { useEffect, useRef, useState } from 'preact/hooks';
import { callApi } from './api.ts';
import type { Task } from './api-types.d.ts';
import { Copy } from './copy.tsx';
import { toCurl } from './curl.ts';
import { Explain } from './explain.tsx';
import { Family } from './family.tsx';
import { Follows } from './follows.tsx';
import { toDuration } from './format.ts';
import { useEvents } from './live.ts';
import { OfWorkflow } from './of-workflow.tsx';
import { Action, Card, Chip, Empty, Facts, IdLine, Loading, ProblemBox, Time } from './parts.tsx';
import { Payload } from './payload.tsx';
import { linkTo, linkToBatch, linkToQueue, linkToWorkflow } from './place.ts';
import { type Problem, problemOf } from './problem.ts';
import { readProgress } from './progress.ts';
import { RetryEdited } from './retry-edited.tsx';
import { linkToTasks } from './search.ts';
import { may, share, useShared } from './shared.ts';
import { Tags } from './tags.tsx';
import { Attempts, ErrorCard } from './task-error.tsx';
import { Log } from './task-log.tsx';
import { SpanBar, Timeline } from './timeline.tsx';
import { NoRead } from './with-fleet.tsx';
import { WorkerLink } from './worker-link.tsx';

/** Beats between two readings of a task that has ended: it changes only when it is retried, edited or deleted. */
const BEATS_OVER = 5;
const FINISHED = new Set(['succeeded', 'dead', 'cancelled', 'removed']);

export function TaskScreen({ id }: { readonly id: string }) {
  if (!may('read')) return <NoRead />;
  return <LiveTask id={id} />;
}

interface Seen {
  readonly task: Task | undefined;
  readonly problem: Problem | undefined;
  /** Grows with each reading that something else has to follow. */
  readonly count: number;
}

/** The task as the events tell it: each move and each progress is followed by one reading. */
function useTask(id: string): Seen & { readonly reload: () => void } {
  const { beat, isPaused, outage } = useShared();
  const [seen, setSeen] = useState<Seen>({ task: undefined, problem: undefined, count: 0 });
  const state = useRef({ isReading: false, isStale: false });
  const reload = (): void => {
    const { current } = state;
    current.isStale = current.isReading;
    if (current.isReading) return;
    current.isReading = true;
    void callApi<Task>('GET', `tasks/${encodeURIComponent(id)}`)
      .then(
        (task) => setSeen(({ count }) => ({ task, problem: undefined, count: count + 1 })),
        // What is on the screen stays; a task that is gone is said to be.
        (error: unknown) => setSeen((before) => ({ ...before, problem: problemOf(error) })),
      )
      .then(() => {
        current.isReading = false;
        if (current.isStale) reload();
      });
  };
  useEffect(reload, [id, outage === undefined]);
  const isOver = seen.task !== undefined && FINISHED.has(seen.task.state);
  const isGone = seen.problem?.status === 404;
  const isReread = isOver && !isGone && !isPaused;
  useEffect(() => {
    if (isReread && beat % BEATS_OVER === 0 && !document.hidden) reload();
  }, [beat]);
  useEffect(() => {
    if (!isReread) return undefined;
    const turn = (): void => {
      if (!document.hidden) reload();
    };
    document.addEventListener('visibilitychange', turn);
    return () => document.removeEventListener('visibilitychange', turn);
  }, [id, isReread]);
  const path = isOver || isGone ? undefined : `tasks/${encodeURIComponent(id)}/events`;
  useEvents(path, isPaused, (kind, data) => {
    // It has the task as it was when the stream began, and is the answer to a reading that nobody has to make.
    if (kind === 'snapshot' && (data as Task).acceptedAt !== undefined) {
      setSeen(({ count }) => ({ task: data as Task, problem: undefined, count: count + 1 }));
    } else reload();
  });
  return { ...seen, reload };
}

function LiveTask({ id }: { readonly id: string }) {
  const { task, problem, count, reload } = useTask(id);
  const [isEdited, setEdited] = useState(false);
  if (task === undefined) {
    if (problem?.status === 404) return <Unknown id={id} />;
    return problem ? <ProblemBox problem={problem} retry={reload} /> : <Loading />;
  }
  const isGone = problem?.status === 404;
  // A step is retried with its workflow.
  const isFixed = isGone || task.state !== 'dead' || task.workflow !== undefined;
  const edit = isFixed ? undefined : (): void => setEdited(true);
  return (
    <>
      <header class="screen-head">
        <h1>
          {task.type} <Chip state={task.state} />
        </h1>
        <Buttons task={task} isGone={isGone} reload={reload} edit={edit} />
        <IdLine of={id} />
      </header>
      {isGone ? (
        <p class="stale">This task was removed. What you see is the last that was read.</p>
      ) : undefined}
      {isEdited && task.state === 'dead' ? (
        <RetryEdited task={task} close={() => setEdited(false)} reload={reload} />
      ) : undefined}
      {isGone || task.state === 'succeeded' || task.state === 'cancelled' ? undefined : (
        <Explain task={task} count={count} reload={reload} />
      )}
      <div class="columns">
        <Card title="Timeline">
          <SpanBar task={task} />
          <Timeline task={task} />
        </Card>
        <About task={task} />
      </div>
      <Progress task={task} />
      {task.error ? <ErrorCard error={task.error} /> : undefined}
      {task.workflow === undefined ? undefined : <OfWorkflow of={task.workflow} />}
      <Family task={task} />
      <Follows task={task} />
      <Card title="Data">
        <Payload label="Input" value={task.input} />
        {task.result === undefined ? undefined : <Payload label="Result" value={task.result} />}
      </Card>
      {task.errors.length === 0 ? undefined : <Attempts task={task} />}
      <Log task={task} />
    </>
  );
}

function Unknown({ id }: { readonly id: string }) {
  return (
    <Empty isScreen title="There is no such task">
      <p>
        <code>{id}</code>
      </p>
      <p>Finished tasks are kept for as long as the fleet is set to keep them, then they are removed.</p>
      <p>
        Look for it among <a href={linkToWorkflow(id)}>workflows</a> and <a href={linkToBatch(id)}>batches</a>
        .
      </p>
      <a href={linkTo(['tasks'])}>All tasks</a>
    </Empty>
  );
}

function Buttons({
  task,
  isGone,
  reload,
  edit,
}: {
  readonly task: Task;
  /** It was removed: all that can be done is to run another one like it. */
  readonly isGone: boolean;
  readonly reload: () => void;
  /** `undefined`: it cannot be retried with another input now. */
  readonly edit: (() => void) | undefined;
}) {
  const { id, state, type, input, queue, workflow } = task;
  const path = `tasks/${id}`;
  const isOver = FINISHED.has(state);
  return (
    <div class="actions">
      {may('enqueue') ? (
        <a class="button" href={linkTo(['types', type], { from: id })} onClick={() => share({ again: task })}>
          Run again…
        </a>
      ) : undefined}
      <Copy text={() => toCurl({ type, input, queue })} label="Copy as curl" />
      {isGone || !may('admin') ? undefined : (
        <>
          {state === 'dead' && workflow !== undefined ? (
            <a class="button" href={linkToWorkflow(workflow.id)}>
              Retry its workflow…
            </a>
          ) : undefined}
          {state === 'dead' && workflow === undefined ? (
            <Action
              id="retry"
              label="Retry"
              tone="primary"
              done="It is ready again"
              run={() => callApi('POST', `${path}/retry`)}
              after={reload}
            />
          ) : undefined}
          {edit === undefined ? undefined : (
            <button type="button" id="edit" onClick={edit}>
              Change input…
            </button>
          )}
          {isOver ? undefined : (
            <Action
              id="cancel"
              label="Cancel"
              tone="danger"
              done={state === 'running' ? 'It was asked to stop' : 'It is cancelled'}
              confirm={
                state === 'running'
                  ? 'It runs. Its handler is asked to stop, and its thread is ended if it does not.'
                  : 'It will not run.'
              }
              run={() => callApi('POST', `${path}/cancel`)}
              after={reload}
            />
          )}
          {state === 'running' ? undefined : (
            <Action
              label="Delete"
              tone="danger"
              done="It is deleted"
              confirm={
                isOver
                  ? 'Its input, result, errors and log are removed for good.'
                  : 'It will not run, and nothing of it is kept.'
              }
              run={() => callApi('DELETE', path)}
              after={reload}
            />
          )}
        </>
      )}
    </div>
  );
}

function About({ task }: { readonly task: Task }) {
  const {
    queue,
    priority,
    attempt,
    options,
    worker,
    crashes,
    acceptedAt,
    dueAt,
    expiresAt,
    tags,
    search = {},
    inputEditedAt,
    traceparent,
  } = task;
  const timeout = options?.['timeoutMs'];
  return (
    <Card title="About">
      <Facts
        of={[
          ['Queue', <a href={linkToQueue(queue)}>{queue}</a>],
          ['Priority', priority],
          ['Attempt', options?.maxAttempts === undefined ? attempt : `${attempt} of ${options.maxAttempts}`],
          ['Worker', worker === undefined ? undefined : <WorkerLink worker={worker} />],
          ['Lost workers', crashes === 0 ? undefined : crashes],
          ['Accepted', <Time at={acceptedAt} />],
          ['Due', task.state === 'scheduled' ? <Time at={dueAt} /> : undefined],
          [
            'Expires',
            FINISHED.has(task.state) || expiresAt === undefined ? undefined : <Time at={expiresAt} />,
          ],
          ['Time limit', typeof timeout === 'number' ? toDuration(timeout) : undefined],
          ['Tags', tags === undefined ? undefined : <Tags tags={tags} queue={queue} />],
          ...Object.entries(search).map(
            ([name, value]) =>
              [name, <a href={linkToTasks({ queue, field: `${name}:${value}` })}>{value}</a>] as const,
          ),
          ['Input edited', inputEditedAt === undefined ? undefined : <Time at={inputEditedAt} />],
          ['Trace', traceparent === undefined ? undefined : <code>{traceparent}</code>],
        ]}
      />
    </Card>
  );
}

/** What the handler reported last: a share of 100 and a note. */
function Progress({ task: { progress, state } }: { readonly task: Task }) {
  const { percent, note } = readProgress(progress) ?? {};
  if (percent === undefined) return null;
  return (
    <Card title="Progress" aside={<b>{Math.round(percent)} %</b>}>
      <progress
        value={percent}
        max={100}
        aria-label="Progress"
        class={state === 'running' ? 'is-running' : undefined}
      />
      {note === undefined ? undefined : <p>{note}</p>}
    </Card>
  );
}
