// Every task that was accepted is in exactly one state, or was removed. Each queue shows that it adds up.

import type { Queue } from './api-types.d.ts';
import { plural, toCount } from './format.ts';
import { sum } from './live.ts';
import { Card, Chip } from './parts.tsx';
import { linkTo } from './place.ts';

export const STATES = ['waiting', 'scheduled', 'ready', 'running', 'succeeded', 'dead', 'cancelled'] as const;

/** The states and `removed`; a state that this page does not know counts as well, and is shown when it has tasks. */
function partsOf(
  queues: readonly Pick<Queue, 'counts'>[],
): readonly { readonly name: string; readonly count: number }[] {
  const shown = [...STATES, 'removed'];
  const others = new Set(queues.flatMap(({ counts }) => Object.keys(counts)));
  for (const name of ['accepted', ...shown]) others.delete(name);
  return [...shown, ...others]
    .map((name) => ({ name, count: sum(queues, ({ counts }) => counts[name] ?? 0) }))
    .filter(({ name, count }) => count > 0 || !others.has(name));
}

/** Tasks that were accepted, and are in no state and not removed, or the reverse: always 0. Each queue counts for itself. */
export function missingOf(queues: readonly Pick<Queue, 'counts'>[]): number {
  return sum(queues, (queue) =>
    Math.abs((queue.counts['accepted'] ?? 0) - sum(partsOf([queue]), ({ count }) => count)),
  );
}

/** @param missing what `missingOf` says */
export function Balance({ missing }: { readonly missing: number }) {
  return missing === 0 ? (
    <Chip state="succeeded">balanced</Chip>
  ) : (
    <Chip state="dead">{plural(missing, 'task')} off</Chip>
  );
}

/** @param queue when it is about one: its numbers lead to its tasks */
export function Conservation({
  queues,
  queue,
}: {
  readonly queues: readonly Queue[];
  readonly queue?: string;
}) {
  const accepted = sum(queues, ({ counts }) => counts['accepted'] ?? 0);
  const parts = partsOf(queues);
  const missing = missingOf(queues);
  return (
    <Card
      title="Nothing is lost"
      {...(missing === 0 ? {} : { tone: 'bad' as const })}
      aside={<Balance missing={missing} />}
    >
      <p class="conservation">
        <span>
          <b>{toCount(accepted)}</b> accepted
        </span>
        {parts.map(({ name, count }, at) => (
          <span key={name}>
            {at === 0 ? '= ' : '+ '}
            {queue === undefined || name === 'removed' ? (
              <b>{toCount(count)}</b>
            ) : (
              <a href={linkTo(['tasks'], { queue, state: name })}>{toCount(count)}</a>
            )}{' '}
            {name}
          </span>
        ))}
      </p>
      <p class="muted small-text">
        The numbers are kept by the step that changes a state, so they agree at every moment. Removed tasks
        were finished, and kept as long as the fleet keeps them.
      </p>
    </Card>
  );
}
