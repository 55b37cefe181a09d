// One worker, live: what each of its slots runs, and for how long.

import { useRef } from 'preact/hooks';
import { callApi } from './api.ts';
import type { TaskRow, Worker } from './api-types.d.ts';
import { plural, toCount, toShortId } from './format.ts';
import { Meter } from './meter.tsx';
import { Action, Card, Chip, Empty, Facts, IdLine, Pending, Ticking, Time } from './parts.tsx';
import { linkTo, linkToQueue, linkToTask } from './place.ts';
import type { Problem } from './problem.ts';
import { readProgress } from './progress.ts';
import { useResource } from './resource.ts';
import { seatTasks } from './seats.ts';
import { may, useShared } from './shared.ts';
import { Stale } from './stale.tsx';
import { NoRead } from './with-fleet.tsx';
import { isServer, nameOf, Orders, stateOf } from './workers.tsx';

/** More of them are told by their number. */
const MOST_CELLS = 64;

interface RunningTask extends TaskRow {
  readonly progress?: unknown;
  readonly timeoutMs?: number;
}

interface WorkerTasks {
  /** One item a queue. */
  readonly items: readonly Worker[];
  /** First what it claimed first. */
  readonly running: readonly RunningTask[];
}

export function WorkerScreen({ worker }: { readonly worker: string }) {
  return may('read') ? <LiveWorker worker={worker} /> : <NoRead />;
}

function LiveWorker({ worker }: { readonly worker: string }) {
  const resource = useResource<WorkerTasks>(`workers/${encodeURIComponent(worker)}`);
  const { data, problem, reload } = resource;
  const first = data?.items[0];
  if (data === undefined || first === undefined) {
    return problem?.status === 404 ? <Gone worker={worker} /> : <Pending of={resource} />;
  }
  const state = stateOf(data.items);
  const canOrder = may('admin') && problem?.status !== 404 && !isServer(data.items);
  return (
    <>
      <header class="screen-head">
        <h1>
          {nameOf(first)}{' '}
          {state === 'working' ? undefined : (
            <Chip state={state === 'quiet' ? 'paused' : 'warn'}>{state}</Chip>
          )}
        </h1>
        {canOrder ? <Orders worker={worker} name={nameOf(first)} state={state} after={reload} /> : undefined}
        <IdLine of={worker} />
      </header>
      <StaleWorker worker={worker} problem={problem} />
      <Slots of={data} reload={reload} />
      <About items={data.items} />
    </>
  );
}

function StaleWorker({
  worker,
  problem,
}: {
  readonly worker: string;
  readonly problem: Problem | undefined;
}) {
  if (problem === undefined) return null;
  if (problem.status !== 404) return <Stale what="This" problem={problem} />;
  return (
    <p class="stale">
      This worker is gone. <HowItWent worker={worker} /> What you see is the last that was read.
    </p>
  );
}

function Gone({ worker }: { readonly worker: string }) {
  return (
    <Empty isScreen title="There is no such live worker">
      <p>
        <code>{worker}</code>
      </p>
      <p>
        <HowItWent worker={worker} />
      </p>
      <a href={linkTo(['workers'])}>All workers</a>
    </Empty>
  );
}

/** What it held is told for five minutes when it was lost; one that has ended in order leaves nothing. */
function HowItWent({ worker }: { readonly worker: string }) {
  const lost = useShared().fleet?.lost.filter((one) => one.worker === worker) ?? [];
  const [latest] = lost;
  if (latest === undefined) return <>It has ended, or was lost more than five minutes ago.</>;
  const held = lost.reduce((sum, one) => sum + one.held, 0);
  return (
    <>
      <Time at={latest.leaseUntil} prefix="It was not heard of any more " />
      {`, and ${plural(held, 'task')} went back to the queue.`}
    </>
  );
}

function Slots({
  of: { items, running },
  reload,
}: {
  readonly of: WorkerTasks;
  readonly reload: () => void;
}) {
  const { concurrency = running.length } = items[0] ?? {};
  const holds = items.reduce((sum, one) => sum + one.holds, 0);
  const cells = Math.min(concurrency, MOST_CELLS);
  const seats = useRef<readonly (string | undefined)[]>([]);
  seats.current = seatTasks(
    seats.current,
    running.map(({ id }) => id),
    cells,
  );
  const tasks = new Map(running.map((task) => [task.id, task]));
  const ahead = holds - concurrency;
  return (
    <Card
      title="Slots"
      aside={
        <span class="muted">{`${toCount(Math.min(holds, concurrency))} of ${toCount(concurrency)} busy`}</span>
      }
    >
      <ol class="slots" aria-label="Slots">
        {seats.current.map((id, at) => (
          <Cell key={at} nth={at + 1} task={tasks.get(id ?? '')} reload={reload} />
        ))}
      </ol>
      {cells < concurrency ? (
        <p class="muted">{`Shown are ${toCount(cells)} of ${plural(concurrency, 'slot')}.`}</p>
      ) : undefined}
      {ahead > 0 ? (
        <p class="muted">{`${plural(ahead, 'more task is', 'more tasks are')} claimed ahead: short ones, which begin as slots get free.`}</p>
      ) : undefined}
    </Card>
  );
}

function Cell({
  nth,
  task,
  reload,
}: {
  readonly nth: number;
  readonly task: RunningTask | undefined;
  readonly reload: () => void;
}) {
  if (task === undefined) {
    return (
      <li class="slot is-free">
        <span class="slot-head">Slot {nth}</span>
        <span class="muted">free</span>
      </li>
    );
  }
  const { id, type, queue, attempt, startedAt, timeoutMs } = task;
  return (
    <li class="slot is-running" data-row>
      <span class="slot-head">
        Slot {nth}
        {startedAt === undefined ? undefined : (
          <b class="slot-time">
            <Ticking since={startedAt} />
          </b>
        )}
      </span>
      <a href={linkToTask(id)} title={`${type} ${id}`}>
        <b>{type}</b> <span class="mono">…{id.slice(-4)}</span>
      </a>
      <Progress of={task.progress} />
      <span class="slot-foot">
        <span class="muted">
          {queue}
          {attempt > 1 ? `, attempt ${attempt}` : ''}
          {startedAt === undefined || timeoutMs === undefined ? undefined : (
            <>
              {', '}
              <Ticking since={startedAt} limitMs={timeoutMs} /> left
            </>
          )}
        </span>
        {may('admin') ? (
          <Action
            label="Cancel"
            about={`${type} ${toShortId(id)}`}
            done="It is being stopped"
            confirm={`${type} ${toShortId(id)} is asked to stop, and is stopped if it does not.`}
            tone="danger"
            run={() => callApi('POST', `tasks/${id}/cancel`)}
            after={reload}
          />
        ) : undefined}
      </span>
    </li>
  );
}

/** What the handler has said last; nothing when it has said nothing. */
function Progress({ of }: { readonly of: unknown }) {
  const { percent, note } = readProgress(of) ?? {};
  if (percent === undefined) return null;
  return (
    <>
      <Meter value={percent} of={100} label={`${Math.round(percent)} % done`} />
      <span class="slot-note muted" title={note}>
        {`${Math.round(percent)} %`}
        {note === undefined ? '' : `, ${note}`}
      </span>
    </>
  );
}

function About({ items }: { readonly items: readonly Worker[] }) {
  const [{ threads, startedAt, version, types, leaseUntil } = {} as Partial<Worker>] = items;
  return (
    <Card title="About">
      <Facts
        isWide
        of={[
          [
            items.length === 1 ? 'Queue' : 'Queues',
            items.map(({ queue }, at) => (
              <span key={queue}>
                {at === 0 ? '' : ', '}
                <a href={linkToQueue(queue)}>{queue}</a>
              </span>
            )),
          ],
          ['Started', <Time at={startedAt} />],
          ['Lease ends', <Time at={leaseUntil} />],
          ['Threads', threads === undefined ? undefined : toCount(threads)],
          ['Version', version],
        ]}
      />
      {types === undefined ? undefined : (
        <p>
          <span class="muted">{`Knows ${plural(types.length, 'type')}:`}</span> {types.join(', ')}
        </p>
      )}
    </Card>
  );
}
