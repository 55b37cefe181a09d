// One page that says whether the fleet is healthy, and what needs somebody.

import type { ComponentChildren } from 'preact';
import { apiUrl } from './api.ts';
import type { Queue } from './api-types.d.ts';
import { Charts } from './charts.tsx';
import { Conservation, missingOf } from './conservation.tsx';
import { plural, toCount, toDuration, toRate } from './format.ts';
import { linkToState } from './frame.tsx';
import { LatestFailures } from './failures.tsx';
import { sum } from './live.ts';
import { Meter } from './meter.tsx';
import { Card, Chip, Code, type Concern, Concerns } from './parts.tsx';
import { linkTo, linkToQueue } from './place.ts';
import { QueueTable } from './queues.tsx';
import { type Fleet, may } from './shared.ts';
import { ofWorkers, slotsOf, WithFleet } from './with-fleet.tsx';

export function OverviewScreen({ query }: { readonly query: URLSearchParams }) {
  return <WithFleet show={(fleet) => <Overview fleet={fleet} query={query} />} />;
}

function Overview({ fleet, query }: { readonly fleet: Fleet; readonly query: URLSearchParams }) {
  const concerns = [...lossesOf(fleet.lost), ...fleet.queues.flatMap((queue) => concernsOf(queue))];
  return (
    <>
      <header class="screen-head">
        <h1>
          {concerns.length === 0 ? 'Healthy' : plural(concerns.length, 'thing needs you', 'things need you')}
        </h1>
        <p class="muted">{summaryOf(fleet)}</p>
      </header>
      <Tiles fleet={fleet} />
      <Concerns title="Needs attention" of={concerns} />
      {sum(fleet.queues, ({ counts }) => counts['accepted'] ?? 0) === 0 ? (
        <FirstTask />
      ) : (
        <>
          <Charts path={[]} query={query} slots={slotsOf(ofWorkers(fleet.workers)).slots} />
          <LatestFailures />
          <QueueTable queues={fleet.queues} title="Queues" />
          <Conservation queues={fleet.queues} />
        </>
      )}
    </>
  );
}

function summaryOf({ queues, workers: all }: Fleet): string {
  const workers = ofWorkers(all);
  const { busy, slots } = slotsOf(workers);
  const names = new Set(workers.map(({ worker }) => worker)).size;
  const oldestMs = Math.max(0, ...queues.map(({ oldestReadyMs = 0 }) => oldestReadyMs));
  const waits = oldestMs === 0 ? '' : `, the oldest wait is ${toDuration(oldestMs)}`;
  return `${plural(queues.length, 'queue')}, ${plural(names, 'worker')}, ${busy} of ${plural(slots, 'slot')} busy${waits}.`;
}

function Tiles({ fleet }: { readonly fleet: Fleet }) {
  const { busy, slots } = slotsOf(ofWorkers(fleet.workers));
  const { rates } = fleet;
  return (
    <ul class="tiles">
      {(['ready', 'running', 'scheduled', 'dead'] as const).map((state) => {
        const count = sum(fleet.queues, ({ counts }) => counts[state] ?? 0);
        const isAlarming = state === 'dead' && sum(fleet.queues, warnedOf) > 0;
        return (
          <Tile
            key={state}
            head={<Chip state={state} />}
            link={linkToState(state, fleet)}
            isAlarming={isAlarming}
          >
            {toCount(count)}
          </Tile>
        );
      })}
      <Tile
        head="Slots busy"
        link={linkTo(['workers'])}
        below={<Meter value={busy} of={slots} label={`${busy} of ${slots} slots busy`} />}
      >
        {busy}
        <small> of {slots}</small>
      </Tile>
      <Tile head="Tasks a second" below={rates ? `${toRate(rates.finished)} finished` : 'measuring'}>
        {rates ? toRate(rates.accepted) : '–'}
        <small> in</small>
      </Tile>
    </ul>
  );
}

function Tile({
  head,
  link,
  below,
  isAlarming,
  children,
}: {
  readonly head: ComponentChildren;
  readonly link?: string;
  readonly below?: ComponentChildren;
  readonly isAlarming?: boolean;
  readonly children: ComponentChildren;
}) {
  const inner = (
    <>
      <span class="tile-head">{head}</span>
      <span class={isAlarming === true ? 'tile-number is-alarming' : 'tile-number'}>{children}</span>
      {below === undefined ? undefined : <span class="tile-below">{below}</span>}
    </>
  );
  return <li class="tile">{link === undefined ? <div>{inner}</div> : <a href={link}>{inner}</a>}</li>;
}

/** A worker that serves several queues is lost once. */
function lossesOf(lost: Fleet['lost']): readonly Concern[] {
  const names = new Set(lost.map(({ worker }) => worker));
  if (names.size === 0) return [];
  const text = (
    <>
      <a href={linkTo(['workers'])}>{plural(names.size, 'worker was', 'workers were')} lost</a> in the last
      five minutes;{' '}
      {plural(
        sum(lost, ({ held }) => held),
        'task has',
        'tasks have',
      )}{' '}
      gone back to wait.
    </>
  );
  return [{ key: 'lost workers', text }];
}

/** Its dead letters but those whose kind of failure somebody ignores for now. */
function warnedOf({ counts, deadIgnored = 0 }: Queue): number {
  return (counts['dead'] ?? 0) - deadIgnored;
}

/** Facts of a queue that somebody has to act on. */
function concernsOf(queue: Queue): readonly Concern[] {
  const { counts, workers, paused, pausedReason, malformed, outbox } = queue;
  const waits = (counts['ready'] ?? 0) + (counts['scheduled'] ?? 0) + (counts['waiting'] ?? 0);
  const dead = warnedOf(queue);
  const missing = missingOf([queue]);
  const name = <a href={linkToQueue(queue.queue)}>{queue.queue}</a>;
  const found: (readonly [boolean, string, ComponentChildren])[] = [
    [
      missing !== 0,
      'missing',
      <>
        {name} does not add up: {plural(missing, 'task')} off.
      </>,
    ],
    [
      paused,
      'paused',
      <>
        {name} is paused{pausedReason === undefined ? '' : ` (${pausedReason})`}: nothing of it is started.
      </>,
    ],
    [
      !paused && workers === 0 && waits + (counts['running'] ?? 0) > 0,
      'workers',
      <>
        {name} has no live worker, and {plural(waits, 'task')} to run.
      </>,
    ],
    [
      dead > 0,
      'dead',
      <>
        {name} has <a href={linkTo(['dead'], { queue: queue.queue })}>{plural(dead, 'dead letter')}</a>.
      </>,
    ],
    [
      malformed > 0,
      'malformed',
      <>
        {name} has {plural(malformed, 'message')} that are no tasks.
      </>,
    ],
    [outbox.oldestMs > 60_000, 'outbox', <>{name} has followers that have waited for more than a minute.</>],
  ];
  return found.filter(([holds]) => holds).map(([, what, text]) => ({ key: `${queue.queue} ${what}`, text }));
}

function FirstTask() {
  const url = apiUrl('../add');
  return (
    <Card title="No tasks yet">
      <p>Send the first one from a terminal, and watch it here:</p>
      <Code text={`curl -i ${url} -H 'content-type: application/json' -d '{"one":1,"two":2}'`} />
      {may('enqueue') ? (
        <p>
          Or <a href={linkTo(['types'])}>run one by hand</a>.
        </p>
      ) : undefined}
    </Card>
  );
}
