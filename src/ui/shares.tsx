// States as shares of one bar.

/** @param of numbers by state, in this order; what stands beside it says the same in words */
export function Shares({ of }: { readonly of: readonly (readonly [state: string, count: number])[] }) {
  const total = of.reduce((sum, [, count]) => sum + count, 0);
  let x = 0;
  return (
    <svg class="shares" viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true">
      {of.map(([state, count]) => {
        const width = total === 0 ? 0 : (count / total) * 1_000;
        const bar = <rect key={state} class={`share is-${state}`} x={x} width={width} height="10" />;
        x += width;
        return bar;
      })}
    </svg>
  );
}
