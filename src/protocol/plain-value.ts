// Checks a parsed JSON value before it is accepted: what is too deep or too large would only fail later, in a worker.

import { DEFAULT_SCAN_LIMITS, FORBIDDEN_KEYS, type ScanLimits } from './cbor-scan.ts';

/** Half of a character has no form in UTF-8, so none in CBOR: other libraries refuse what would be written for it. */
const LONE_SURROGATE = /\p{Surrogate}/u;
const LONE_SURROGATE_FAULT = 'text with half of a character (a lone surrogate)';

/**
 * Walks a value from `JSON.parse` without recursion.
 * @returns what is wrong with it, or `undefined` when it is within the limits.
 */
export function faultOfPlainValue(
  value: unknown,
  limits: ScanLimits = DEFAULT_SCAN_LIMITS,
): string | undefined {
  let level: unknown[] = [value];
  let nodes = 0;
  for (let depth = 0; level.length > 0; depth += 1) {
    const below: unknown[] = [];
    for (const item of level) {
      if (++nodes > limits.nodes) return `more than ${limits.nodes} values`;
      if (typeof item === 'number' && !Number.isFinite(item)) return 'a number beyond the range of a double';
      if (typeof item === 'string' && LONE_SURROGATE.test(item)) return LONE_SURROGATE_FAULT;
      if (typeof item !== 'object' || item === null) continue;
      if (depth >= limits.depth) return `nesting deeper than ${limits.depth} levels`;
      if (Array.isArray(item)) {
        for (const child of item) below.push(child);
        continue;
      }
      for (const [key, child] of Object.entries(item)) {
        nodes += 1;
        if (FORBIDDEN_KEYS.has(key)) return `a key that is not allowed (${key})`;
        if (LONE_SURROGATE.test(key)) return LONE_SURROGATE_FAULT;
        below.push(child);
      }
    }
    level = below;
  }
  return undefined;
}
