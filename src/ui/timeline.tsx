// What happened to a task, in order, with the time it waited told apart from the time it ran. Everything is read from what
// the fleet has recorded; nothing is guessed.

import type { ComponentChildren } from 'preact';
import { serverNow } from './api.ts';
import type { Task } from './api-types.d.ts';
import { plural, toDuration, toLocal, toTimeOfDay } from './format.ts';
import { Ticking } from './parts.tsx';
import { linkTo, linkToTask } from './place.ts';

interface Span {
  readonly kind: 'wait' | 'run';
  readonly from: number;
  readonly until: number;
}

const FINISHED = new Set(['succeeded', 'dead', 'cancelled']);

/** Waits and runs from the acceptance until the end, or until now. */
function spansOf(task: Task, now: number): readonly Span[] {
  const spans: Span[] = [];
  let at = Date.parse(task.acceptedAt);
  const add = (kind: Span['kind'], time: string | number): void => {
    const until = Math.max(at, typeof time === 'number' ? time : Date.parse(time));
    if (until > at) spans.push({ kind, from: at, until });
    at = until;
  };
  for (const { startedAt, endedAt } of task.errors) {
    add('wait', startedAt);
    add('run', endedAt);
  }
  const end = task.finishedAt ?? now;
  if (hasOwnRun(task)) {
    add('wait', task.startedAt ?? '');
    add('run', end);
  } else add('wait', end);
  return spans;
}

/** States in which no run is under way, and more are to come. */
const WAITS = new Set(['waiting', 'ready', 'scheduled']);

/** Whether its latest run is none of those that failed. */
function hasOwnRun({ startedAt, state, errors }: Task): boolean {
  if (startedAt === undefined || WAITS.has(state)) return false;
  return !errors.some((one) => one.startedAt === startedAt);
}

function total(spans: readonly Span[], kind: Span['kind']): number {
  return spans.reduce((sum, span) => (span.kind === kind ? sum + span.until - span.from : sum), 0);
}

export function SpanBar({ task }: { readonly task: Task }) {
  const spans = spansOf(task, serverNow());
  const start = spans[0]?.from ?? 0;
  const whole = Math.max(1, (spans.at(-1)?.until ?? 0) - start);
  const waited = toDuration(total(spans, 'wait'));
  const ran = toDuration(total(spans, 'run'));
  return (
    <figure class="spans">
      <svg viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true">
        {spans.map(({ kind, from, until }) => (
          <rect
            key={from}
            class={`span-${kind}`}
            x={((from - start) / whole) * 1_000}
            width={Math.max(2, ((until - from) / whole) * 1_000)}
            height="10"
          />
        ))}
      </svg>
      <figcaption>
        <span class="key-wait">waited {waited}</span>
        <span class="key-run">ran {ran}</span>
      </figcaption>
    </figure>
  );
}

interface Entry {
  readonly at: string;
  readonly tone: string;
  readonly what: ComponentChildren;
  /** How long it took until then. */
  readonly after?: string;
}

export function Timeline({ task }: { readonly task: Task }) {
  const now = serverNow();
  const entries = entriesOf(task);
  const isOver = FINISHED.has(task.state);
  const last = entries.at(-1);
  return (
    <ol class="timeline">
      {entries.map(({ at, tone, what, after }) => (
        <li key={`${at} ${tone}`} class={`is-${tone}`}>
          <span class="timeline-what">{what}</span>
          {after === undefined ? undefined : <span class="muted">{after}</span>}
          <time dateTime={at} title={at}>
            {isSameDay(at, task.acceptedAt) && at !== task.acceptedAt ? toTimeOfDay(at) : toLocal(at)}
          </time>
        </li>
      ))}
      {isOver || last === undefined ? undefined : (
        <li class={`is-now is-${task.state}`}>
          <span class="timeline-what">
            {task.state === 'running' ? 'running for ' : 'waiting for '}
            <Ticking since={task.state === 'running' ? (task.startedAt ?? last.at) : last.at} />
          </span>
          {task.state === 'scheduled' && task.dueAt !== undefined ? (
            <span class="muted">due in {toDuration(Date.parse(task.dueAt) - now)}</span>
          ) : undefined}
        </li>
      )}
    </ol>
  );
}

function isSameDay(one: string, other: string): boolean {
  return new Date(one).toDateString() === new Date(other).toDateString();
}

function between(kind: 'waited' | 'ran', from: string, until: string): string {
  return `${kind} ${toDuration(Date.parse(until) - Date.parse(from))}`;
}

function entriesOf(task: Task): readonly Entry[] {
  const { acceptedAt, errors, startedAt, finishedAt, cancelRequestedAt, crashes, attempt } = task;
  const entries: Entry[] = [
    {
      at: acceptedAt,
      tone: 'ready',
      what: (
        <>
          accepted in {task.queue}
          {origin(task)}
        </>
      ),
    },
  ];
  let at = acceptedAt;
  const hidden = attempt - errors.length - (hasOwnRun(task) ? 1 : 0);
  errors.forEach((failed, index) => {
    const number = Math.max(0, hidden) + index + 1;
    entries.push({
      at: failed.startedAt,
      tone: 'running',
      what: `attempt ${number} started by ${failed.worker}`,
      after: between('waited', at, failed.startedAt),
    });
    entries.push({
      at: failed.endedAt,
      tone: 'dead',
      what: `attempt ${number} failed: ${failed.error.name}`,
      after: between('ran', failed.startedAt, failed.endedAt),
    });
    at = failed.endedAt;
  });
  if (hasOwnRun(task) && startedAt !== undefined) {
    const again = crashes > 0 ? `, after ${plural(crashes, 'lost worker')}` : '';
    entries.push({
      at: startedAt,
      tone: 'running',
      what: `attempt ${attempt} started by ${task.worker ?? 'a worker'}${again}`,
      after: between('waited', at, startedAt),
    });
    at = startedAt;
  }
  if (cancelRequestedAt !== undefined)
    entries.push({ at: cancelRequestedAt, tone: 'cancelled', what: 'asked to be cancelled' });
  if (finishedAt !== undefined && FINISHED.has(task.state)) {
    const kind = hasOwnRun(task) ? 'ran' : 'waited';
    const killed = task.error?.killLatencyMs;
    entries.push({
      at: finishedAt,
      tone: task.state,
      what:
        killed === undefined
          ? task.state
          : `${task.state}; its thread was ended within ${toDuration(killed)}`,
      // A failure for good is the end.
      ...(kind === 'waited' && at === finishedAt ? {} : { after: between(kind, at, finishedAt) }),
    });
  }
  return entries;
}

/** What made the task, when it was no call alone. */
function origin({ schedule, cause }: Task): ComponentChildren {
  if (schedule) {
    return (
      <>
        {' '}
        by the schedule <a href={linkTo(['schedules'])}>{schedule.name}</a>
      </>
    );
  }
  if (cause) {
    return (
      <>
        {' '}
        because <a href={linkToTask(cause.id)}>another task</a> was {cause.state}
      </>
    );
  }
  return undefined;
}
