// In which cell of a worker a task is shown.

/**
 * A task keeps its cell for as long as it runs; what is new takes the first that is free.
 * @param before the ids of the reading before, a cell each
 * @param ids of what runs, first what comes first; those beyond the cells have none
 */
export function seatTasks(
  before: readonly (string | undefined)[],
  ids: readonly string[],
  cells: number,
): readonly (string | undefined)[] {
  const running = new Set(ids);
  const kept = Array.from({ length: cells }, (_, at) => {
    const id = before[at];
    return id !== undefined && running.has(id) ? id : undefined;
  });
  const seated = new Set(kept);
  const fresh = ids.filter((id) => !seated.has(id));
  return kept.map((id) => id ?? fresh.shift());
}
