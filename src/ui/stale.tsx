// Says that what is shown may not be as it is now.

import type { Problem } from './problem.ts';

/** @param problem why the last reading failed; `undefined`: it did not, and nothing is said */
export function Stale({ what, problem }: { readonly what: string; readonly problem: Problem | undefined }) {
  if (problem === undefined) return null;
  return (
    <p class="stale">
      {what} may be old: {problem.title}
    </p>
  );
}
