// Waits for facts instead of for time.

/**
 * Asks again until `check` neither throws nor answers `false` or `undefined`, and returns what it answered.
 * @throws the last failure once `withinMs` have passed
 */
export async function eventually<T>(
  check: () => T | Promise<T>,
  withinMs = 90_000,
  everyMs = 20,
): Promise<Exclude<T, false | undefined>> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    let failure: unknown = new Error(`not so within ${withinMs} ms`);
    try {
      const answer = await check();
      if (answer !== false && answer !== undefined) return answer as Exclude<T, false | undefined>;
    } catch (error) {
      failure = error;
    }
    if (performance.now() > deadline) throw failure;
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
