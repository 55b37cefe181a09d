import { once } from 'node:events';
import { createInterface } from 'node:readline/promises';
import type { Terminal } from './terminal.ts';
import { UsageError } from './usage-error.ts';

/**
 * Asks a person before much is changed at once.
 * @param instead what a script writes, such as `--yes`
 * @returns whether the answer was yes
 * @throws UsageError when there is nobody to ask
 */
export async function confirm(
  { stdin, stderr }: Terminal,
  question: string,
  {
    mayAsk,
    instead,
    signal,
  }: { readonly mayAsk: boolean; readonly instead: string; readonly signal: AbortSignal },
): Promise<boolean> {
  if (!mayAsk || stdin.isTTY !== true) {
    throw new UsageError(`${question} Nobody can be asked here: give ${instead} to go on.`);
  }
  const lines = createInterface({ input: stdin, output: stderr, terminal: false });
  // At the end of the input (Ctrl-D) no answer comes any more, and the question stays open for ever.
  const ended = once(lines, 'close').then(() => undefined);
  try {
    const answer = await Promise.race([lines.question(`${question} [y/N] `, { signal }), ended]);
    if (answer === undefined) stderr.write('\n');
    return /^y(?:es)?$/i.test((answer ?? '').trim());
  } finally {
    lines.close();
  }
}
