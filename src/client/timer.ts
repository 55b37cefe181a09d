/** What timers count at most, in milliseconds (24.8 days): with more they fire at once. */
const LONGEST_TIMER_MS = 2_147_483_647;

/** A timer, but none for a time that no timer counts. @returns takes it back */
export function startTimer(act: () => void, ms: number): () => void {
  if (ms > LONGEST_TIMER_MS) return () => undefined;
  const timer = setTimeout(act, ms);
  return () => clearTimeout(timer);
}
