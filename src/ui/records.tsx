// What workflows and batches have in common where they are shown.

import type { ComponentChildren } from 'preact';
import { toCount, toShortId } from './format.ts';
import { Card, Chip, Time } from './parts.tsx';
import { linkToQueue } from './place.ts';
import type { Problem } from './problem.ts';
import { Shares } from './shares.tsx';
import { Stale } from './stale.tsx';

interface Named {
  readonly id: string;
  readonly name?: string;
  readonly href: string;
}

/** The cells of its name, how many of its tasks have ended, and how many are dead. */
export function RecordCells({
  of: { id, name, href },
  ended,
  total,
  succeeded,
  dead,
  cancelled,
  word,
}: {
  readonly of: Named;
  readonly ended: number;
  readonly total: number;
  readonly succeeded: number;
  readonly dead: number;
  readonly cancelled: number;
  /** What they are, such as `steps`. */
  readonly word: string;
}) {
  return (
    <>
      <td class="cut" title={name === undefined ? id : `${name} (${id})`}>
        <a class={name === undefined ? 'mono' : undefined} href={href}>
          {name ?? toShortId(id)}
        </a>
      </td>
      <td>
        <Shares
          of={[
            ['succeeded', succeeded],
            ['dead', dead],
            ['cancelled', cancelled],
            ['waiting', total - ended],
          ]}
        />
      </td>
      <td class="number" aria-label={`${toCount(ended)} of ${toCount(total)} ${word} ended`}>
        {`${toCount(ended)}/${toCount(total)}`}
      </td>
      <td class={dead > 0 ? 'number count-dead' : 'number zero'}>{toCount(dead)}</td>
    </>
  );
}

/** The cells of when it was accepted, how long it has taken, and its home queue. */
export function SinceCells({
  of: { acceptedAt, queue },
  took,
}: {
  readonly of: { readonly acceptedAt: string; readonly queue: string };
  readonly took: string;
}) {
  return (
    <>
      <td>
        <Time at={acceptedAt} />
      </td>
      <td>{took}</td>
      <td>
        <a href={linkToQueue(queue)}>{queue}</a>
      </td>
    </>
  );
}

/** How far it is: its tasks by state, in numbers and as a bar, above its facts. */
export function RecordCard({
  title,
  label,
  counts,
  wordOf = (state) => state,
  children,
}: {
  readonly title: string;
  /** What the numbers are of, such as `Steps by state`. */
  readonly label: string;
  readonly counts: readonly (readonly [state: string, count: number])[];
  readonly wordOf?: (state: string) => string;
  readonly children: ComponentChildren;
}) {
  const aside = (
    <ul class="legend-states" aria-label={label}>
      {counts.map(([state, count]) => (
        <li key={state}>
          <Chip state={state}>
            <b>{toCount(count)}</b> {wordOf(state)}
          </Chip>
        </li>
      ))}
    </ul>
  );
  return (
    <Card title={title} aside={aside}>
      <Shares of={counts} />
      {children}
    </Card>
  );
}

/** Says when what is shown is not as it is now. */
export function StaleRecord({ problem }: { readonly problem: Problem | undefined }) {
  if (problem === undefined) return null;
  return problem.status === 404 ? (
    <p class="stale">Its record was removed. What you see is the last that was read.</p>
  ) : (
    <Stale what="This" problem={problem} />
  );
}

/** The cell of the error of a task. */
export function ErrorCell({
  of,
}: {
  readonly of: { readonly name: string; readonly message: string } | undefined;
}) {
  const text = of === undefined ? undefined : `${of.name}: ${of.message}`;
  return (
    <td class="cut" title={text}>
      {text ?? ''}
    </td>
  );
}
