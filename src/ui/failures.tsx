// Groups of failures as a table: what went wrong, how often, and since when.

import { useRef } from 'preact/hooks';
import { serverNow } from './api.ts';
import type { ErrorGroup, Items } from './api-types.d.ts';
import { toCount } from './format.ts';
import { Card, Table, Time } from './parts.tsx';
import { linkTo, linkToQueue } from './place.ts';
import { type Resource, useResource } from './resource.ts';
import { lastDay, Sparkline } from './sparkline.tsx';

const LATEST = 5;
const HOUR_MS = 3_600_000;

function linkToGroup(fingerprint: string): string {
  return linkTo(['dead', fingerprint]);
}

/** @param label of the table */
export function Failures({
  groups,
  label,
}: {
  readonly groups: readonly ErrorGroup[];
  readonly label: string;
}) {
  return (
    <Table
      label={label}
      heads={['Failure', '#Dead now', '#In all', '24 hours', 'Type', 'Queue', 'First seen', 'Last seen']}
    >
      {groups.map((group) => (
        <tr key={`${group.queue} ${group.fingerprint}`} data-row>
          <td class="failure">
            <a href={linkToGroup(group.fingerprint)}>
              <b>{group.name}</b> <span>{group.message}</span>
            </a>
            <div>
              <Used group={group} />
            </div>
            <IgnoredUntil group={group} />
          </td>
          <td class="number">
            <DeadCount group={group} />
          </td>
          <td class="number">{toCount(group.total)}</td>
          <td>
            <Sparkline of={lastDay([group])} />
          </td>
          <td>{group.type ?? 'several'}</td>
          <td>
            <a href={linkToQueue(group.queue)}>{group.queue}</a>
          </td>
          <td>
            <Time at={group.firstSeenAt} />
          </td>
          <td>
            <Time at={group.lastSeenAt} />
          </td>
        </tr>
      ))}
    </Table>
  );
}

/** Of its tasks over all queues, when they died; `undefined`: none is known. */
export function attemptsOf(groups: readonly ErrorGroup[]): string | undefined {
  const all = groups.flatMap(({ attempts }) => (attempts ? [attempts.least, attempts.most] : []));
  if (all.length === 0) return undefined;
  const [least, most] = [Math.min(...all), Math.max(...all)];
  return least === most ? toCount(least) : `${toCount(least)} to ${toCount(most)}`;
}

/** Under which they have died, the latest first; `undefined` likewise. */
export function versionsOf(groups: readonly ErrorGroup[]): string | undefined {
  return [...new Set(groups.flatMap(({ versions = [] }) => versions))].join(', ') || undefined;
}

/** Nothing, when neither is known. */
function Used({ group }: { readonly group: ErrorGroup }) {
  const [attempts, versions] = [attemptsOf([group]), versionsOf([group])];
  const words = [
    attempts === undefined ? [] : `attempts: ${attempts}`,
    versions === undefined ? [] : `versions: ${versions}`,
  ].flat();
  return words.length === 0 ? null : <span>{words.join(', ')}</span>;
}

/** Nothing, unless it is ignored. */
export function IgnoredUntil({ group: { ignored } }: { readonly group: ErrorGroup }) {
  if (!ignored) return null;
  const { until, untilTotal } = ignored;
  return (
    <span class="muted">
      Ignored
      {until === undefined ? undefined : (
        <>
          , ends <Time at={until} />
        </>
      )}
      {untilTotal === undefined ? undefined : `, until more than ${toCount(untilTotal)} have died of it`}
    </span>
  );
}

/** Leads to the tasks that it counts. */
export function DeadCount({
  group: { queue, fingerprint, dead },
  word,
}: {
  readonly group: ErrorGroup;
  readonly word?: string;
}) {
  return (
    <a
      class={dead === 0 ? 'zero' : 'count-dead'}
      href={linkTo(['tasks'], { queue, state: 'dead', fingerprint })}
      aria-label={`${toCount(dead)} dead in ${queue}`}
    >
      {toCount(dead)}
      {word === undefined ? '' : ` ${word}`}
    </a>
  );
}

/**
 * Groups that match.
 * @param hours those alone that were seen in that many; 0 = at any time
 */
export function useFailures(
  filter: Readonly<Record<string, string>>,
  hours: number,
): Resource<Items<ErrorGroup>> {
  const search = new URLSearchParams(filter);
  // To the minute, so that the address stays the same for a while.
  const since = Math.floor(serverNow() / 60_000) * 60_000 - hours * HOUR_MS;
  if (hours > 0) search.set('since', String(since));
  const groups = useResource<Items<ErrorGroup>>(`errors?${search.toString()}`, 2);
  // Each minute it is read under another address: what the one before has answered stays until then.
  const last = useRef(groups.data);
  last.current = groups.data ?? last.current;
  return { ...groups, data: last.current };
}

/** Nothing, when there were none. */
export function LatestFailures() {
  const groups = useFailures({ limit: String(LATEST), ignored: 'false' }, 1).data?.items ?? [];
  if (groups.length === 0) return null;
  return (
    <Card
      title="Failures of the last hour"
      aside={
        <a class="button small" href={linkTo(['dead'])}>
          All dead letters
        </a>
      }
    >
      <Failures groups={groups} label="Failures of the last hour" />
    </Card>
  );
}
