// Names of keys as docs/protocol.md has them, spelled out once more: a test would not see it if src changed them by mistake.

/** In front of `:<name>` in each key of a queue. */
export function queueKey(queue: string): string {
  return `pf:{${queue}}`;
}

export function readyKey(queue: string, lane: string): string {
  return `${queueKey(queue)}:ready:${lane}`;
}
