// The `verify-webhook` subcommand: checks a message as its receiver should, and says why it is refused.

import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { faultsOfMessage } from './webhooks/signature.ts';

/** Makes a command what `verify-webhook` is. It exits with 1 when the message is refused. */
export function addVerifyWebhookCommand(verify: Command): void {
  verify
    .description(
      'Check the signature of a webhook that was received: its headers, an empty line and its body on stdin',
    )
    .requiredOption('--secret-file <file>', 'file with the secret (whsec_…)')
    .action(({ secretFile }: { readonly secretFile: string }, command: Command) => {
      const secret = readText(secretFile, command).trim();
      const message = readMessage(readFileSync(process.stdin.fd));
      const faults = message
        ? faultsOfMessage(secret, message.headers, message.body, Math.floor(Date.now() / 1_000))
        : ['There is no empty line between the headers and the body.'];
      if (faults.length === 0) process.stdout.write('The message is authentic.\n');
      else process.stderr.write(`The message is refused:\n${faults.map((fault) => `- ${fault}\n`).join('')}`);
      process.exitCode = faults.length === 0 ? 0 : 1;
    });
}

function readText(file: string, command: Command): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code = 'unknown fault' } = error as NodeJS.ErrnoException;
    return command.error(`error: --secret-file ${file} cannot be read (${code})`);
  }
}

/** Names in lower case; the body to its last byte. */
interface Message {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** Headers as HTTP/1.1 has them, with or without the line of the request before them. */
function readMessage(bytes: Buffer): Message | undefined {
  const text = bytes.toString('latin1');
  const gap = /\r?\n\r?\n/.exec(text);
  if (!gap) return undefined;
  const headers = new Map<string, string>();
  for (const line of text.slice(0, gap.index).split(/\r?\n/)) {
    const colon = line.indexOf(':');
    if (colon > 0) headers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim());
  }
  return { headers: Object.fromEntries(headers), body: bytes.subarray(gap.index + gap[0].length) };
}
