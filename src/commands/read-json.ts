import { BIG_INTEGER_FAULT, findBigInteger } from '../protocol/big-integers.ts';
import { readPlain } from '../protocol/plain-value.ts';
import { UsageError } from './usage-error.ts';

/**
 * Parses JSON without changing anything.
 * @param what it is, for the error
 * @returns `undefined` when the text is no JSON
 * @throws UsageError for a number that JavaScript cannot hold, and whatever else is no plain data
 */
export function readJson(text: string, what: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const plain = readPlain(value);
  if ('fault' in plain) throw new UsageError(`${what}: ${plain.fault.pointer} ${plain.fault.detail}.`);
  const pointer = plain.hasLarge ? findBigInteger(text) : undefined;
  if (pointer !== undefined) throw new UsageError(`${what}: ${pointer} ${BIG_INTEGER_FAULT}.`);
  return value;
}
