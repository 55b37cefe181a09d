import { BIG_INTEGER_FAULT, findBigInteger } from '../protocol/big-integers.ts';
import { UsageError } from './usage-error.ts';

/**
 * Parses JSON without changing any number.
 * @param what it is, for the error
 * @returns `undefined` when the text is no JSON
 * @throws UsageError for an integer that a number cannot hold
 */
export function readJson(text: string, what: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const pointer = findBigInteger(text);
  if (pointer !== undefined) throw new UsageError(`${what}: ${pointer} ${BIG_INTEGER_FAULT}.`);
  return value;
}
