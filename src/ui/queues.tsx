// All queues with their numbers.

import type { Queue } from './api-types.d.ts';
import { toCount, toDuration } from './format.ts';
import { Card, Chip, Empty, Table } from './parts.tsx';
import { linkTo, linkToQueue } from './place.ts';
import type { Fleet } from './shared.ts';
import { WithFleet } from './with-fleet.tsx';

export function QueuesScreen() {
  return <WithFleet show={(fleet) => <Queues fleet={fleet} />} />;
}

function Queues({ fleet }: { readonly fleet: Fleet }) {
  return (
    <>
      <header class="screen-head">
        <h1>Queues</h1>
        <p class="muted">A queue comes into being with its first task, or its first worker.</p>
      </header>
      <QueueTable queues={fleet.queues} />
    </>
  );
}

const SHOWN = ['ready', 'running', 'scheduled', 'dead', 'succeeded'] as const;

export function QueueTable({
  queues,
  title,
}: {
  readonly queues: readonly Queue[];
  readonly title?: string;
}) {
  if (queues.length === 0) {
    return (
      <Card {...(title === undefined ? {} : { title })}>
        <Empty title="There is no queue yet" />
      </Card>
    );
  }
  return (
    <Card {...(title === undefined ? {} : { title })}>
      <Table
        label="Queues"
        heads={['Queue', 'State', ...SHOWN.map((state) => `#${state}`), '#oldest wait', '#workers']}
      >
        {queues.map(({ queue, paused, counts, oldestReadyMs, workers }) => (
          <tr key={queue} data-row>
            <td>
              <a href={linkToQueue(queue)}>
                <b>{queue}</b>
              </a>
            </td>
            <td>{stateOf(paused, workers)}</td>
            {SHOWN.map((state) => (
              <td key={state} class="number">
                <a
                  class={(counts[state] ?? 0) === 0 ? 'zero' : `count-${state}`}
                  href={linkTo(['tasks'], { queue, state })}
                  aria-label={`${toCount(counts[state] ?? 0)} ${state} in ${queue}`}
                >
                  {toCount(counts[state] ?? 0)}
                </a>
              </td>
            ))}
            <td class={oldestReadyMs === 0 ? 'number zero' : 'number'}>{toWait(oldestReadyMs)}</td>
            <td class="number">{toCount(workers)}</td>
          </tr>
        ))}
      </Table>
    </Card>
  );
}

/** `–` where nothing waits, or it is not known. */
export function toWait(ms: number | undefined): string {
  return ms === undefined || ms === 0 ? '–' : toDuration(ms);
}

/** A queue that is served and not paused needs no word. */
export function stateOf(isPaused: boolean, workers: number) {
  if (isPaused) return <Chip state="paused">paused</Chip>;
  if (workers === 0) return <Chip state="warn">no worker</Chip>;
  return <Chip state="succeeded">served</Chip>;
}
