// One queue: its numbers, whether they add up, who serves it, and its switch.

import { callApi } from './api.ts';
import type { Queue, Worker } from './api-types.d.ts';
import { Charts } from './charts.tsx';
import { Conservation, missingOf, STATES } from './conservation.tsx';
import { plural, toCount, toDuration } from './format.ts';
import { LedgerPanel } from './ledger.tsx';
import { Action, Card, Chip, Code, Empty, Facts, Table, Time } from './parts.tsx';
import { linkTo } from './place.ts';
import { stateOf, toWait } from './queues.tsx';
import { withReason } from './reason-field.tsx';
import { type Fleet, may } from './shared.ts';
import { slotsOf, WithFleet } from './with-fleet.tsx';
import { WorkerLink } from './worker-link.tsx';

interface QueueProps {
  readonly name: string;
  readonly query: URLSearchParams;
}

export function QueueScreen(props: QueueProps) {
  return <WithFleet show={(fleet) => <OneQueue fleet={fleet} {...props} />} />;
}

function OneQueue({ fleet, name, query }: QueueProps & { readonly fleet: Fleet }) {
  const queue = fleet.queues.find((one) => one.queue === name);
  if (!queue) {
    return (
      <Empty isScreen title={`There is no queue “${name}”`}>
        <a href={linkTo(['queues'])}>All queues</a>
      </Empty>
    );
  }
  const workers = fleet.workers.filter((one) => one.queue === name);
  return (
    <>
      <header class="screen-head">
        <h1>
          {name} {stateOf(queue.paused, queue.workers)}
        </h1>
        <div class="actions">
          <a class="button" href={linkTo(['tasks'], { queue: name })}>
            Tasks
          </a>
          {may('admin') ? <Switch queue={queue} /> : undefined}
        </div>
      </header>
      <ul class="tiles is-states">
        {STATES.map((state) => (
          <li key={state} class="tile">
            <a href={linkTo(['tasks'], { queue: name, state })}>
              <span class="tile-head">
                <Chip state={state} />
              </span>
              <span class="tile-number">{toCount(queue.counts[state] ?? 0)}</span>
            </a>
          </li>
        ))}
      </ul>
      {queue.paused ? <Paused queue={queue} /> : undefined}
      {queue.workers === 0 ? <NoWorker name={name} /> : undefined}
      <Charts path={['queues', name]} query={query} queue={name} slots={slotsOf(workers).slots} />
      <div class="columns">
        <Waiting queue={queue} />
        <Serving workers={workers} />
      </div>
      <Conservation queues={[queue]} queue={name} />
      <LedgerPanel key={name} queue={name} missing={missingOf([queue])} />
    </>
  );
}

function Switch({ queue: { queue, paused, counts } }: { readonly queue: Queue }) {
  const verb = paused ? 'resume' : 'pause';
  const waits = plural(counts['ready'] ?? 0, 'task');
  return (
    <Action
      id={verb}
      label={paused ? 'Resume' : 'Pause'}
      done={paused ? `${queue} goes on` : `${queue} is paused`}
      run={(reason) =>
        callApi(
          'POST',
          `queues/${encodeURIComponent(queue)}/${verb}`,
          paused ? undefined : withReason(reason),
        )
      }
      {...(paused
        ? { tone: 'primary' as const }
        : {
            confirm: `Nothing of “${queue}” is started any more, ${waits} wait. Running tasks finish, new ones are accepted.`,
            reasonUse: 'shown wherever the queue is',
          })}
    />
  );
}

function Waiting({
  queue: { ready, oldestReadyMs, outbox, malformed, malformedDropped = 0 },
}: {
  readonly queue: Queue;
}) {
  return (
    <Card title="Waiting by priority">
      <Facts
        of={[
          ['high', toCount(ready['high'] ?? 0)],
          ['normal', toCount(ready['normal'] ?? 0)],
          ['low', toCount(ready['low'] ?? 0)],
          ['the oldest has waited', toWait(oldestReadyMs)],
          [
            'followers to be accepted',
            outbox.length === 0
              ? '0'
              : `${toCount(outbox.length)}, the oldest for ${toDuration(outbox.oldestMs)}`,
          ],
          [
            'messages that are no tasks',
            malformedDropped === 0
              ? toCount(malformed)
              : `${toCount(malformed)}, and ${toCount(malformedDropped)} that are kept no more`,
          ],
        ]}
      />
    </Card>
  );
}

function Serving({ workers }: { readonly workers: readonly Worker[] }) {
  return (
    <Card title="Workers">
      {workers.length === 0 ? (
        <Empty title="None" />
      ) : (
        <Table label="Workers of this queue" heads={['Worker', '#Holds', 'Lease ends']}>
          {workers.map(({ worker, holds, leaseUntil }) => (
            <tr key={worker}>
              <td>
                <WorkerLink worker={worker} />
              </td>
              <td class="number">{toCount(holds)}</td>
              <td>
                <Time at={leaseUntil} />
              </td>
            </tr>
          ))}
        </Table>
      )}
    </Card>
  );
}

function Paused({ queue: { pausedSince, pausedReason } }: { readonly queue: Queue }) {
  return (
    <Card title="Paused: nothing of it is started" tone="warn">
      <p>
        {pausedReason === undefined ? 'Nobody has said why' : `“${pausedReason}”`}, since{' '}
        <Time at={pausedSince} />.
      </p>
    </Card>
  );
}

function NoWorker({ name }: { readonly name: string }) {
  return (
    <Card title="No live worker serves this queue" tone="warn">
      <p>Its tasks wait until one does. Start one on any machine that reaches Redis:</p>
      <Code text={`APP_TYPE=worker QUEUES=${name} REDIS_URL=redis://… npm start`} />
    </Card>
  );
}
