// How much of something there is, as a bar.

/** A meter without a style attribute, which the policy of the page would not allow. */
export function Meter({
  value,
  of,
  label,
  state = 'running',
}: {
  readonly value: number;
  readonly of: number;
  readonly label: string;
  /** Whose colour it has. */
  readonly state?: string;
}) {
  const width = of <= 0 ? 0 : Math.min(100, (value / of) * 100);
  return (
    <svg class="meter" viewBox="0 0 100 6" preserveAspectRatio="none" role="img" aria-label={label}>
      <rect class="meter-back" width="100" height="6" rx="2" />
      <rect class={`meter-fill is-${state}`} width={width} height="6" rx="2" />
    </svg>
  );
}
