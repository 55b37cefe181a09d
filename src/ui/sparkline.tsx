// What happened in the last day, by the hour.

import type { Hours } from './api-hours-types.d.ts';
import { serverNow } from './api.ts';
import { plural, toCount } from './format.ts';

const HOUR_MS = 3_600_000;
const HOURS = 24;

/** Of the last 24 hours, the newest last, some of a kind together; `undefined`: it is not known. */
export function lastDay(
  all: readonly { readonly hours?: Hours }[],
  now = serverNow(),
): readonly number[] | undefined {
  if (all.every(({ hours }) => hours === undefined)) return undefined;
  const newest = Math.floor(now / HOUR_MS);
  return Array.from({ length: HOURS }, (_, nth) =>
    all.reduce((sum, { hours }) => {
      if (hours === undefined) return sum;
      const age = Math.floor(Date.parse(hours.latestAt) / HOUR_MS) - newest + HOURS - 1 - nth;
      return sum + (age < 0 ? 0 : (hours.counts[hours.counts.length - 1 - age] ?? 0));
    }, 0),
  );
}

/**
 * Bars for 24 hours, without a style attribute; what they show, in words, for those who do not see them.
 * @param isGood when they are nothing to worry about
 */
export function Sparkline({
  of,
  isGood,
}: {
  readonly of: readonly number[] | undefined;
  readonly isGood?: boolean;
}) {
  if (of === undefined) return <span class="muted">–</span>;
  const most = Math.max(1, ...of);
  const sum = of.reduce((before, count) => before + count, 0);
  const label =
    sum === 0
      ? 'None in 24 hours'
      : `${toCount(sum)} in 24 hours, at most ${toCount(most)} in one, ${plural(of.at(-1) ?? 0, 'time')} in the last`;
  return (
    <svg
      class={isGood === true ? 'sparkline is-good' : 'sparkline'}
      viewBox="0 0 96 20"
      role="img"
      aria-label={label}
    >
      <title>{label}</title>
      <rect class="sparkline-ground" y="19" width="96" height="1" />
      {of.map((count, nth) => {
        const height = count === 0 ? 0 : Math.max(2, (count / most) * 19);
        // The hours do not move: each has its place.
        return <rect key={nth} x={nth * 4} y={20 - height} width="3" height={height} />;
      })}
    </svg>
  );
}
