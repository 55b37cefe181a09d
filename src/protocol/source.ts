// What a handler may wait for: a child as a source of its parent. A token is another one (token.ts). Threads need nothing of the store for it.

/** Sources that one task may have. */
export const MOST_SOURCES = 1_000;

/** A child as a source of the task that has made it. */
export function childSource(id: string): string {
  return `>${id}`;
}

/** @returns the id of a child; `undefined` when the source is none */
export function readChildSource(source: string): string | undefined {
  return source.startsWith('>') ? source.slice(1) : undefined;
}
