import { UsageError } from './usage-error.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Text of a file, a part of one, or stdin.
 * @param what it is, for the error
 * @throws UsageError when it is not UTF-8, which would change what stands there
 */
export function decodeText(bytes: Uint8Array, what: string): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new UsageError(`${what}: it is not UTF-8.`);
  }
}
